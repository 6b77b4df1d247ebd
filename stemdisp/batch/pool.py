"""Local processes that analyse one job after the other, and can be killed at any moment without harm to the others.

Each worker has a pipe of its own and shares no lock with anybody: in pools whose workers share a queue, one that is
killed while it holds the queue's lock takes all others with it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from .executor import JobExecutor, Running, Work
from .job import Job, Outcome
from .limits import claim_gpu, limit_memory
from .orphans import end_with_parent
from .work import ProcessDiedError

PRELOADED = (
    "stemdisp.batch.orphans",
    "stemdisp.batch.work",
    "stemdisp.pipeline",
    "stemdisp.io.read",
    "stemdisp.io.store",
    "stemdisp.report",
)
"""What is imported once, in the process that workers are forked from."""

DRAWING = ("stemdisp.figures.save",)
"""And for figures."""

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Variables by which libraries learn that they share the processors: those of a worker are the kernel's."""


@dataclass(frozen=True)
class Share:
    """What one worker may take: bytes of memory (None: no limit), threads, and of how many GPUs one (0: none), claimed
    by a lock in ``folder``."""

    memory: int | None = None
    threads: int = 1
    gpus: int = 0
    folder: Path = Path()


def _serve(pipe: Connection, share: Share) -> None:
    """Life of a worker: jobs come in, stages and outcomes go out, None ends it."""

    def say(what: Outcome | bytes | str) -> None:
        try:
            pipe.send(what)
        except OSError:  # nobody is left who asked; that is no failure of the image
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asked decides what becomes of running jobs
    end_with_parent()
    os.environ["OMP_NUM_THREADS"] = str(share.threads)
    if share.gpus and (number := claim_gpu(share.gpus, share.folder)) is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(number)
    limit_memory(share.memory)
    while (task := pipe.recv()) is not None:
        work, job = task
        try:
            answer: Outcome | str = work(job, lambda stage: say(stage.encode()))
        except BaseException as error:  # as a MemoryError within the handling of a MemoryError
            answer = type(error).__name__
        say(answer)


def _as_here() -> dict[str, str]:
    """Variables by which a process that is started imports this package, and nothing from the present folder.

    It would look there first: for this package, of which a checkout has a copy without the compiled kernel, and for
    every other module, whatever lies beside somebody's images.
    """
    root = str(Path(__file__).parents[2])
    safe = {"PYTHONSAFEPATH": "1"}
    if root in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return safe
    known = os.environ.get("PYTHONPATH", "")
    return {**safe, "PYTHONPATH": os.pathsep.join([root, *([known] if known else [])])}


@contextmanager
def _apart() -> Iterator[None]:
    """Surroundings for processes that are started: libraries use one thread, modules are looked for where this process
    found its own, and the program that asks is not there.

    A new process would import that program to find the functions in it.  Ours are elsewhere, and a script that begins
    its work when it is imported would begin it in every worker.
    """
    changes = dict.fromkeys(ONE_THREAD, "1") | _as_here()
    environment = {name: os.environ.get(name) for name in changes}
    program = sys.modules["__main__"]
    os.environ.update(changes)
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program
        for name, value in environment.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started within hear no Ctrl-C, not even while they still import; ours waits until after."""
    resource_tracker.ensure_running()  # which would open our ears again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(eq=False)
class _Worker:
    """A process, our end of its pipe, and what it does."""

    process: BaseProcess
    pipe: Connection
    future: Future[Outcome] | None = None
    stage: str = ""
    since: float = field(default_factory=time.monotonic)
    error: BaseException | None = None

    def give(self, future: Future[Outcome], task: tuple[Work, Job]) -> None:
        self.future, self.stage, self.since = future, "", time.monotonic()
        self.pipe.send(task)


class Workers(JobExecutor):
    """``size`` processes on this machine, each started when there is a job for it; a dead one is replaced."""

    def __init__(self, size: int, share: Share | None = None, *, figures: bool = True) -> None:
        self.size, self.share = size, share or Share()
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self.context: BaseContext = multiprocessing.get_context(method)
        if method == "forkserver":
            self.context.set_forkserver_preload([*PRELOADED, *(DRAWING if figures else ())])
            with _apart(), _deaf():
                forkserver.ensure_running()  # by this thread, with which it ends
        self.lock = threading.Lock()
        self.waiting: deque[tuple[Future[Outcome], tuple[Work, Job]]] = deque()
        self.workers: list[_Worker] = []
        self.closing = False
        self.bell, self.ringer = self.context.Pipe(duplex=False)
        self.thread = threading.Thread(target=self._manage, daemon=True, name="workers")
        self.thread.start()

    def submit(self, work: Work, /, job: Job) -> Future[Outcome]:  # type: ignore[override]
        """Have a worker run ``work(job, tell)``; both must be importable there."""
        future: Future[Outcome] = Future()
        with self.lock:
            if self.closing:
                raise RuntimeError("no job can be submitted after shutdown")
            self.waiting.append((future, (work, job)))
        self._ring()
        return future

    def running(self, future: Future[Outcome]) -> Running | None:
        """Stage of a job and when it began; None while it waits for a worker."""
        with self.lock:
            found = next((one for one in self.workers if one.future is future), None)
            return None if found is None else (found.stage, found.since)

    def kill(self, future: Future[Outcome], error: BaseException) -> None:
        """Kill the worker that has the job; the next job gets a new one."""
        with self.lock:
            found = next((one for one in self.workers if one.future is future), None)
            if found is not None:
                found.error = error
                found.process.kill()
        if found is None and future.cancel():
            future.set_running_or_notify_cancel()

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:  # type: ignore[override]
        """End all workers: after their jobs, or at once and the jobs with them."""
        with self.lock:
            self.closing = True
            if cancel_futures:
                self.waiting.clear()
                for worker in self.workers:
                    worker.process.kill()
        self._ring()
        if wait:
            self.thread.join()

    def _ring(self) -> None:
        with suppress(OSError):  # the manager is gone: nobody has to be woken
            self.ringer.send_bytes(b"!")

    def _manage(self) -> None:
        try:
            self._go_on()
        finally:
            self._dismiss()

    def _go_on(self) -> None:
        """Hand out jobs and take in what workers say, until everything is done and over."""
        while True:
            with self.lock:
                self._hand_out()
                if self.closing and not self.waiting and not any(one.future for one in self.workers):
                    break
                listened: list[Any] = [self.bell, *(one.pipe for one in self.workers)]
            ready = connection.wait(listened)
            with self.lock:
                if self.bell in ready:
                    self.bell.recv_bytes()
                for worker in [one for one in self.workers if one.pipe in ready]:
                    self._hear(worker)

    def _dismiss(self) -> None:
        """End all workers; jobs are left only where this thread failed, and nobody may wait for them."""
        with self.lock:
            self.closing = True
            left = [future for future, _ in self.waiting] + [one.future for one in self.workers if one.future]
        for future in left:
            if not future.done():  # the driver may have cancelled it
                future.set_exception(ProcessDiedError("nobody is left to take in what it found"))
        for worker in self.workers:
            with suppress(OSError):
                worker.pipe.send(None)
        for worker in self.workers:
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self.workers.clear()
        self.bell.close()
        self.ringer.close()

    def _hand_out(self) -> None:
        while self.waiting:
            idle = next((one for one in self.workers if one.future is None), None)
            if idle is None and len(self.workers) >= self.size:
                return
            future, task = self.waiting.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    idle = idle or self._start()
                except (OSError, EOFError) as error:  # as when the process died that workers are forked from
                    future.set_exception(ProcessDiedError(f"no process could be started: {error}"))
                    continue
                try:
                    idle.give(future, task)
                except OSError:
                    self._bury(idle)

    def _start(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        with _apart():
            process = self.context.Process(target=_serve, args=(theirs, self.share), daemon=True)  # type: ignore[attr-defined]
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self.workers.append(worker)
        return worker

    def _hear(self, worker: _Worker) -> None:
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        if isinstance(said, bytes):
            worker.stage, worker.since = said.decode(), time.monotonic()
        elif worker.future is not None:
            future, worker.future = worker.future, None
            if isinstance(said, Outcome):
                future.set_result(said)
            else:
                error = MemoryError if said == "MemoryError" else ProcessDiedError
                future.set_exception(error(f"ended in {said}"))

    def _bury(self, worker: _Worker) -> None:
        """Take a dead worker out, and tell whoever waits for its job."""
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.join(timeout=5)
        if worker.future is not None:
            worker.future.set_exception(worker.error or ProcessDiedError(_last_words(worker.process.exitcode)))


def _last_words(code: int | None) -> str:
    """What is known of a process that ended by itself.

    >>> _last_words(-9)
    'its process was killed by signal 9 (SIGKILL), perhaps for want of memory'
    >>> _last_words(3)
    'its process ended with exit code 3'
    """
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    why = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"its process was killed by signal {-code} ({name}){why}"
