"""Read mutated files of every format in processes with limits, and print what came of them.

``python tests/fuzz/files.py``; FUZZ_FILES (20000) is how many, FUZZ_JOBS (2) at a time, FUZZ_FIRST (0) the number of
the first: each number is a file of its own, the same at every call.  What should not be is kept in ``finds``, and the
exit code is 1.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

from image_files import write_seeds  # noqa: E402
from reading import IMAGE, MEMORY, REFUSED, UNEXPECTED, WRONG, Case, read_mutated  # noqa: E402

from stemdisp.batch.job import Outcome  # noqa: E402
from stemdisp.batch.pool import Share, Workers  # noqa: E402
from stemdisp.batch.work import TimeLimitError  # noqa: E402

SECONDS, BYTES = 10.0, 2_000_000_000
"""What a process may take for a file."""

HANG, DIED = "hang", "died"
COLUMNS = (IMAGE, REFUSED, MEMORY, WRONG, UNEXPECTED, HANG, DIED)
BAD = COLUMNS[3:]

LARGEST_FIND = 32_768
"""Bytes of a file that is kept; larger ones are named by their number."""

FINDS = HERE / "finds"

REAL = (HERE.parents[1] / "sample_data", HERE.parents[2] / "shared" / "data")
LARGEST_SEED = 1_500_000


def seeds(folder: Path) -> list[Path]:
    """Small files of all formats written here, and real ones where they are present."""
    written = list(write_seeds(folder).values())
    suffixes = {".dm4", ".emd", ".hspy", ".hdf5"}
    real = [path for root in REAL for path in sorted(root.rglob("*")) if path.suffix in suffixes]
    return written + [path for path in real if path.stat().st_size <= LARGEST_SEED]


class Fuzz:
    """Files on their way through the workers, and what came of them so far."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.pending: dict[Future[Outcome], Case] = {}
        self.slow: set[int] = set()
        self.ended = 0
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.peak = 0

    def run(self, cases: list[Case]) -> None:
        """All cases, a few more at a time than there are workers."""
        left = iter(cases)
        while True:
            while len(self.pending) < 2 * self.workers.size and (case := next(left, None)) is not None:
                self._begin(case)
            if not self.pending:
                return
            done, _ = wait(self.pending, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                self._take(self.pending.pop(future), future)
            self._limit()

    def _begin(self, case: Case) -> None:
        work: Any = read_mutated
        task: Any = case
        self.pending[self.workers.submit(work, task)] = case

    def _limit(self) -> None:
        for future in self.pending:
            found = self.workers.running(future)
            if found is not None and found[0] and time.monotonic() - found[1] > SECONDS:
                self.workers.kill(future, TimeLimitError(f"took more than {SECONDS:g} s"))

    def _take(self, case: Case, future: Future[Outcome]) -> None:
        error = future.exception()
        if isinstance(error, TimeLimitError) and case.number not in self.slow:
            self.slow.add(case.number)  # the machine may have been busy
            self._begin(case)
            return
        if error is None:
            found: Any = future.result()
            kind, sentence, self.peak = found.kind, found.sentence, max(self.peak, found.peak)
        elif isinstance(error, MemoryError):
            kind, sentence = MEMORY, str(error)
        else:
            kind, sentence = HANG if isinstance(error, TimeLimitError) else DIED, str(error)
        self.counts[case.seed.name][kind] += 1
        self.ended += 1
        if self.ended % 1000 == 0:
            print(f"{self.ended} files", file=sys.stderr, flush=True)
        if kind in BAD:
            self._keep(case, kind, sentence)

    def _keep(self, case: Case, kind: str, sentence: str) -> None:
        content, name = case.content(), f"{case.seed.stem}-{case.number}{case.seed.suffix}".replace(" ", "-")
        print(f"{name}: {kind}: {sentence}", file=sys.stderr, flush=True)
        if len(content) <= LARGEST_FIND:
            FINDS.mkdir(exist_ok=True)
            (FINDS / name).write_bytes(content)

    def table(self) -> str:
        """What came of the files of each seed."""
        total: Counter[str] = sum(self.counts.values(), Counter())
        lines = [f"{'seed':32}{'files':>7}" + "".join(f"{column:>12}" for column in COLUMNS)]
        for name, counts in [*self.counts.items(), ("all", total)]:
            row = "".join(f"{counts[column]:12}" for column in COLUMNS)
            lines.append(f"{name[:31]:32}{counts.total():7}{row}")
        return "\n".join(lines)


def main() -> int:
    """Run, print the table; 1 where anything came that should not."""
    names = {"FUZZ_FILES": 20000, "FUZZ_JOBS": 2, "FUZZ_FIRST": 0}
    files, jobs, first = (int(os.environ.get(name, usual)) for name, usual in names.items())
    began = time.monotonic()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, Workers(jobs, Share(BYTES)) as workers:
        at = Path(folder)
        sown = seeds(at / "seeds")
        fuzz = Fuzz(workers)
        fuzz.run([Case(sown[number % len(sown)], number, at) for number in range(first, first + files)])
    print(fuzz.table())
    took = f"{files} files in {time.monotonic() - began:.0f} s"
    print(f"{took}; no process had more than {fuzz.peak / 1e9:.2f} GB, {BYTES / 1e9:g} are allowed")
    return int(any(counts[kind] for counts in fuzz.counts.values() for kind in BAD))


if __name__ == "__main__":
    sys.exit(main())
