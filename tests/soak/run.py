"""Long trials of the batch engine: ``make soak``.  Prints one table, and ends with 1 where a promise is broken.

python tests/soak/run.py [--only kills,memory] [--images 200] [--kills 100]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import batches
import odd_work

from stemdisp import recipe_for
from stemdisp.batch import run as driver
from stemdisp.batch.job import Options
from stemdisp.batch.run import Terms, run_sets
from stemdisp.io.pairs import ImageSet, group_inputs

RECIPE = recipe_for("KTaO3", "001")


@dataclass(frozen=True)
class Line:
    """One row of the table: what was asked, what was found, whether that is good enough (None: only reported)."""

    what: str
    found: str
    wanted: str
    good: bool | None


def kills(folder: Path, images: int, count: int) -> Iterator[Line]:
    """A batch that is killed again and again, against one that is left alone."""
    source = folder / "in"
    batches.small_images(source, images)
    if batches.start(source, folder / "whole", "-j", 2).wait() != 0:
        raise SystemExit("the batch that was left alone failed")
    trial = batches.killed(source, folder / "killed", kills=count, seed=0)
    whole, killed = batches.tree(folder / "whole"), batches.tree(folder / "killed")
    what = f"{images} images, kills of {', '.join(f'{name} {n}' for name, n in sorted(trial.kills.items()))}"
    bad = (trial.orphans, trial.torn, trial.repeated, len(whole.keys() ^ killed.keys()))
    differ = sum(whole[name] != killed[name] for name in whole.keys() & killed.keys())
    found = f"orphans {bad[0]}, torn {bad[1]}, repeated {bad[2]}, missing {bad[3]}, different {differ}"
    yield Line(what, found, "0 of each", not any(bad) and not differ)


def overhead(folder: Path, count: int) -> Iterator[Line]:
    """Jobs that do nothing: what scheduling costs."""
    folder.mkdir()
    sets = []
    for number in range(count):
        path = folder / f"image{number}.tif"
        path.write_bytes(b"x")
        sets.append(ImageSet(path.stem, (path,)))
    driver.work = odd_work.by_name
    for name, terms, part in (("local", Terms(jobs=2), sets), ("Dask", Terms(jobs=2, scheduler="local"), sets[:200])):
        clock, cpu, first = time.monotonic(), time.process_time(), 0.0
        for number, _ in enumerate(run_sets(part, RECIPE, folder / name, Options("cpu"), terms=terms)):
            if number == 9:  # workers have started
                first, cpu = time.monotonic() - clock, time.process_time()
        cpu, clock = time.process_time() - cpu, time.monotonic() - clock - first
        per_file, n = 1000 * clock / (len(part) - 10), len(part)
        what = f"scheduling, {name}, {n} empty jobs"
        found = f"{per_file:.1f} ms a file, {1000 * cpu / (n - 10):.1f} CPU ms"
        yield Line(what, found, "5 ms" if name == "local" else "", per_file < 5 if name == "local" else None)


def resume(folder: Path, count: int, *, figures: bool) -> Iterator[Line]:
    """A finished batch, run again."""
    source, out = folder / "in", folder / "out"
    (image,) = batches.small_images(source, 1)
    if batches.start(source, out, "-j", 1, "--figures" if figures else "--no-figures").wait() != 0:
        raise SystemExit("the one image failed")
    result = out / image.stem
    for number in range(1, count):
        shutil.copyfile(image, source / f"copy{number:04d}.tif")
        shutil.copytree(result, out / f"copy{number:04d}", copy_function=os.link)
    files = sum(path.is_file() for path in result.rglob("*"))
    sets = group_inputs([source])
    for what in ("first (hashes all)", "second"):
        clock, cpu = time.monotonic(), time.process_time()
        options = Options("cpu", figures=figures)
        found = list(run_sets(sets, RECIPE, out, options, terms=Terms(jobs=2)))
        clock, cpu = time.monotonic() - clock, time.process_time() - cpu
        skipped = sum(one.status == "skipped" for one in found)
        good = skipped == count and (cpu < 1.0 * count / 1000 or what != "second")
        yield Line(
            f"resume of {count} finished images, {files} files each, {what} time",
            f"{skipped} skipped, {cpu:.2f} CPU s, {clock:.2f} s",
            "1 s per 1,000" if what == "second" else "",
            good,
        )


def _resident(pid: int) -> int:
    """Memory of a process in kB; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def memory(folder: Path, count: int) -> Iterator[Line]:
    """Real images, one after the other: whether workers and driver grow."""
    source = folder / "in"
    made = batches.small_images(source, 50)
    for number in range(50, count):
        shutil.copyfile(made[number % 50], source / f"copy{number:04d}.tif")
    process = batches.start(source, folder / "out", "-j", 2)
    seen: list[tuple[int, int, int]] = []
    while process.poll() is None:
        done = len(batches.committed(folder / "out"))
        of_workers = [_resident(pid) for pid in batches.workers(process.pid)]
        if done > count // 5 and of_workers:  # after caches are filled
            seen.append((done, max(of_workers), _resident(process.pid)))
        time.sleep(1.0)
    for name, column in (("workers", 1), ("driver", 2)):
        slope = statistics.linear_regression([one[0] for one in seen], [one[column] for one in seen]).slope / 1024
        most = max(one[column] for one in seen) / 1024
        found = f"{100 * slope:+.2f} MB per 100 images, at most {most:.0f} MB"
        yield Line(f"memory of {name} over {count} images", found, "1 MB per 100", 100 * slope < 1.0)


def ratio(folder: Path, count: int) -> Iterator[Line]:
    """How much faster two workers are than one."""
    source = folder / "in"
    batches.small_images(source, count)
    took = {}
    for jobs in (1, 2):
        words = batches.command(
            "run", source, *batches.KTO, "-o", folder / f"out{jobs}", "-j", jobs, "--log-format", "jsonl"
        )
        done = subprocess.run(
            words, capture_output=True, text=True, check=True, env={**os.environ, **batches.ONE_THREAD}
        )
        took[jobs] = _span(done.stdout)
    found = took[1] / took[2]
    yield Line(f"two workers against one, {count} images", f"{found:.2f} times as fast", "1.7", found > 1.7)


def _span(log: str) -> float:
    """Seconds from the end of the second image (workers have started) to that of the last."""
    ends = [datetime.fromisoformat(one["at"]) for one in map(json.loads, log.splitlines()) if one["event"] == "end"]
    return (ends[-1] - ends[1]).total_seconds()


def main() -> None:
    """Run the trials that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="overhead,resume,resume-figures,ratio,memory,kills")
    parser.add_argument("--images", type=int, default=200, help="images of the batch that is killed")
    parser.add_argument("--kills", type=int, default=100)
    asked = parser.parse_args()
    trials: dict[str, Callable[[Path], Iterator[Line]]] = {
        "overhead": lambda folder: overhead(folder, 1000),
        "resume": lambda folder: resume(folder, 1000, figures=False),
        "resume-figures": lambda folder: resume(folder, 1000, figures=True),
        "ratio": lambda folder: ratio(folder, 40),
        "memory": lambda folder: memory(folder, 1000),
        "kills": lambda folder: kills(folder, asked.images, asked.kills),
    }
    print("| trial | found | wanted | |\n|---|---|---|---|", flush=True)
    broken = False
    for name in asked.only.split(","):
        with tempfile.TemporaryDirectory(prefix="stemdisp-soak-") as folder:
            for line in trials[name](Path(folder) / name):
                word = {True: "yes", False: "**no**", None: ""}[line.good]
                print(f"| {line.what} | {line.found} | {line.wanted} | {word} |", flush=True)
                broken |= line.good is False
    raise SystemExit(broken)


if __name__ == "__main__":
    main()
