"""Analyse many image sets: a failing one leaves a record of its failure, and the others go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from .. import backend
from ..io.leftovers import sweep
from ..io.pairs import ImageSet
from ..io.store import FAILURE
from ..io.text import one_line
from ..recipe import Recipe
from .done import STANDS, read_json, why_again
from .executor import Here, JobExecutor
from .hashes import Hashes
from .job import Job, Options, Outcome
from .limits import processors, share_of_memory
from .lock import locked
from .log import Log, event, of_begin, of_end
from .work import ProcessDiedError, TimeLimitError, fail, work

STATE = ".stemdisp"
"""Folder of a batch's own files, within the output folder: log and hashes."""

BEAT = 0.2
"""Seconds between two looks at what runs."""

READ_SECONDS, READ_BYTES_PER_SECOND = 45, 20e6
"""Reading may take this long, and longer by the size of the files."""

MOST_TRIES = 2
"""How often an image is begun whose process dies; it may have been another image that took the memory."""


@dataclass(frozen=True)
class Terms:
    """How a batch goes about its work; nothing of it changes a number.

    ``jobs`` at a time (None: as many as there are processors; 0: one after the other in this process, without limits).
    ``scheduler`` is the address of a Dask scheduler (or the .json that holds it), or "local" for one of our own.  An
    image may take ``timeout_s`` seconds, a worker ``memory`` bytes (None: its share of the machine's).  ``force``
    analyses again what is done, ``retry_failed`` what failed; nothing begins after a failure with ``fail_fast``, nor
    beyond ``limit`` images.
    """

    jobs: int | None = None
    scheduler: str | None = None
    timeout_s: float | None = None
    memory: int | None = None
    force: bool = False
    retry_failed: bool = False
    fail_fast: bool = False
    limit: int | None = None


class Watcher:
    """Told what happens; the base is silent."""

    def begin(self, number: int, of: int, job: Job) -> None:
        """Image ``number`` (from 1) of ``of`` (0: nobody knows) begins."""

    def beat(self, running: Sequence[tuple[Job, str]], left: int) -> None:
        """Jobs that run now and their stages, several times a second, and how many images are left with them."""

    def end(self, outcome: Outcome) -> None:
        """An image ended."""


@dataclass(eq=False)
class _Try:
    """A job that was begun: how often, and what was seen of it last."""

    job: Job
    tries: int = 1
    stage: str = "read"
    began: float | None = None


Planned = Job | Outcome | None
"""What comes next: a job, a set that needs none, or nothing for now."""

END = object()
"""What comes after the last."""


def plan(
    sets: Iterable[ImageSet | None], recipe: Recipe, out: Path, hashes: Hashes, options: Options, terms: Terms
) -> Iterator[Planned]:
    """For each image set in order, the job that is to be done, or how it ended before; None where None is given."""
    for one in sets:
        if one is None:
            yield None
            continue
        job = Job(one, out / one.label, recipe, options)
        why, rests = why_again(job, hashes, retry_failed=terms.retry_failed)
        if terms.force or not rests:
            yield replace(job, why="forced" if terms.force else why)
        elif why == STANDS:
            known = read_json(job.folder / FAILURE) or {}
            stage, sentence = (one_line(known.get(name, "?"), 1000) for name in ("stage", "sentence"))
            said = f"{STANDS}: {stage}: {sentence}"
            yield Outcome(job.name, job.folder, "stands", said, stage=stage, kind=one_line(known.get("class", "?")))
        else:
            said = "already done with the same inputs, recipe and outputs"
            yield Outcome(job.name, job.folder, "skipped", said)


def _executor(options: Options, terms: Terms, images: int, state: Path) -> JobExecutor:
    """Where the jobs run."""
    if terms.jobs == 0:
        return Here()
    gpus = 0 if options.device == "cpu" else backend.gpus()
    jobs = terms.jobs or min(gpus or processors(), images or 1024)
    memory = terms.memory or share_of_memory(jobs)
    if terms.scheduler is not None:
        from .cluster import Cluster

        return Cluster(terms.scheduler, jobs, memory)
    from .pool import Share, Workers

    threads = max(1, min(backend.CPU.threads, processors() // jobs))
    return Workers(jobs, Share(memory, threads, gpus, state.absolute()), figures=options.figures)


def _read_seconds(job: Job) -> float:
    """How long a job may read."""
    size = 0
    for path in job.image.paths:
        try:
            size += path.stat().st_size
        except OSError:
            continue
    return READ_SECONDS + size / READ_BYTES_PER_SECOND


class _Drive:
    """The jobs of a batch on their way through an executor."""

    def __init__(self, executor: JobExecutor, terms: Terms, watcher: Watcher, log: Log, stop: threading.Event) -> None:
        self.executor, self.terms, self.watcher, self.log, self.stop = executor, terms, watcher, log, stop
        self.pending: dict[Future[Outcome], _Try] = {}
        self.ended = self.begun = self.number = 0
        self.full = False

    @property
    def _goes_on(self) -> bool:
        """Whether another job may begin."""
        limit = self.terms.limit
        return not (self.stop.is_set() or self.full or (limit is not None and self.begun >= limit))

    def run(self, planned: Iterator[Planned], of: int) -> Iterator[Outcome]:
        """How each of ``of`` image sets (0: nobody knows how many) ended, as they end."""
        while True:
            waits = False
            while self._goes_on and not waits and len(self.pending) < self.executor.size + self.executor.ahead:
                one = next(planned, END)
                if isinstance(one, Outcome):
                    self.number += 1
                    yield self._end(one)
                elif isinstance(one, Job):
                    self._begin(one, of)
                else:
                    waits, self.full = one is None, one is END
            if not self.pending and not waits:
                return
            yield from self._wait()
            self._look(of)

    def _wait(self) -> Iterator[Outcome]:
        """What ends within the next moment."""
        if not self.pending:
            time.sleep(BEAT)
        done, _ = wait(self.pending, timeout=BEAT, return_when=FIRST_COMPLETED)
        for future in done:
            outcome = self._outcome(future)
            if outcome is not None:
                yield self._end(outcome)

    def _begin(self, job: Job, of: int) -> None:
        self.begun += 1
        self.number += 1
        self.watcher.begin(self.number, of, job)
        self.log.write(of_begin(job))
        self.pending[self.executor.submit(work, job)] = _Try(job)

    def _end(self, outcome: Outcome) -> Outcome:
        self.ended += 1
        self.full = self.full or (self.terms.fail_fast and outcome.status in ("failed", "stands"))
        if outcome.status in ("done", "failed"):
            self.log.write(of_end(outcome))
        self.watcher.end(outcome)
        return outcome

    def _outcome(self, future: Future[Outcome]) -> Outcome | None:
        """How a finished job ended; None where it is begun again, or never was begun."""
        one = self.pending.pop(future)
        if future.cancelled():
            return None
        error = future.exception()
        if error is None:
            return future.result()
        seconds = time.monotonic() - (one.began or time.monotonic())
        if isinstance(error, ProcessDiedError) and one.tries < MOST_TRIES and not self.stop.is_set():
            self.log.write(event("again", image=one.job.name, stage=one.stage, sentence=one_line(error)))
            self.pending[self.executor.submit(work, one.job)] = _Try(one.job, tries=one.tries + 1)
            return None
        return fail(one.job, error, one.stage, seconds=seconds)

    def _look(self, of: int) -> None:
        """Learn where the running jobs are, and end those that take too long."""
        now, running = time.monotonic(), []
        for future, one in list(self.pending.items()):
            found = self.executor.running(future)
            if found is None:
                if self.stop.is_set():
                    future.cancel()
                continue
            stage, since = found
            one.began = one.began or now
            one.stage = stage or one.stage
            running.append((one.job, one.stage))
            self._limit(future, one, now, since)
        self.watcher.beat(running, max(of - self.ended, len(self.pending)))

    def _limit(self, future: Future[Outcome], one: _Try, now: float, since: float) -> None:
        most = self.terms.timeout_s
        assert one.began is not None
        if one.stage == "read" and now - since > (reading := _read_seconds(one.job)):
            said = f"reading took more than {reading:.0f} s; the file is damaged, or its disk too slow"
            self.executor.kill(future, TimeLimitError(said))
        elif most is not None and now - one.began > most:
            self.executor.kill(future, TimeLimitError(f"took more than the {most:g} s allowed (--timeout)"))


@contextmanager
def _state(out: Path) -> Iterator[tuple[Path, list[Path]]]:
    """The output folder, ours alone during the block; what earlier runs left unfinished is finished or taken away."""
    with locked(out):
        state = out / STATE
        state.mkdir(exist_ok=True)
        yield state, sweep(out)


def run_sets(
    sets: Iterable[ImageSet | None],
    recipe: Recipe,
    out: Path,
    options: Options | None = None,
    *,
    terms: Terms | None = None,
    watcher: Watcher | None = None,
    events: TextIO | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Outcome]:
    """Analyse image sets, each into a folder of its own.

    Parameters
    ----------
    sets
        What to analyse, as :func:`stemdisp.io.pairs.group_inputs` finds it; from one that does not know its length, as
        :func:`stemdisp.batch.watch.arriving`, they are taken as they come, and None is nothing for now.
    recipe, out
        What to do, and the folder that gets one result folder for each set, called after it.
    options, terms
        What is written, and how the work is gone about.
    watcher, events
        Told what happens; a stream that gets the log's lines as they are written.
    stop
        Once set, nothing new begins, and the batch ends when what runs has ended.

    Yields
    ------
    How each set ended, as they end: a set whose result stands (same inputs, recipe and outputs) is skipped.

    Raises
    ------
    BlockingIOError
        Where another run holds the output folder.
    DeviceError
        Where the cluster that was asked for does not answer.
    StemdispError
        Where the output folder cannot be written.
    """
    options, terms, stop = options or Options(), terms or Terms(), stop or threading.Event()
    with _state(out) as (state, swept):
        log, hashes = Log(state, events), Hashes(state)
        of = len(sets) if isinstance(sets, Sized) else 0
        log.write(event("run", images=of, recipe=recipe.digest(), swept=[str(path) for path in swept]))
        try:
            with _executor(options, terms, of, state) as executor:
                drive = _Drive(executor, terms, watcher or Watcher(), log, stop)
                for outcome in drive.run(plan(sets, recipe, out, hashes, options, terms), of):
                    hashes.learn(outcome.hashed)
                    yield replace(outcome, hashed=())
        finally:
            hashes.close()
            log.write(event("stopped" if stop.is_set() else "over"))
