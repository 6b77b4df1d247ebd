"""Where jobs run: one interface, that of ``concurrent.futures``, with what a batch must know and do besides."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from .job import Job, Outcome
from .work import Tell

Work = Callable[[Job, Tell], Outcome]

Running = tuple[str, float]
"""The stage that a job is in, and since when (monotonic seconds)."""


class JobExecutor(Executor):
    """Runs jobs, ``size`` at a time; a future whose process dies ends in ProcessDiedError.

    ``ahead`` jobs more are submitted, so that no worker waits for its next one.
    """

    size: int
    ahead: int = 1

    @abstractmethod
    def submit(self, work: Work, /, job: Job) -> Future[Outcome]:  # type: ignore[override]
        """Have ``work(job, tell)`` run."""

    @abstractmethod
    def running(self, future: Future[Outcome]) -> Running | None:
        """Where a job is; None while it waits."""

    @abstractmethod
    def kill(self, future: Future[Outcome], error: BaseException) -> None:
        """End a job wherever it is; its future then raises the error."""

    @abstractmethod
    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:  # type: ignore[override]
        """Let go of everything; with ``cancel_futures`` what runs is killed, not waited for."""

    def __exit__(self, kind: Any, *_: object) -> None:
        self.shutdown(cancel_futures=kind is not None)


class Here(JobExecutor):
    """Our own process, one job after the other, without limits: what goes wrong shows where it came from."""

    size, ahead = 1, 0

    def submit(self, work: Work, /, job: Job) -> Future[Outcome]:  # type: ignore[override]
        """Run the job; the future that comes back is done."""
        future: Future[Outcome] = Future()
        self.stage: Running = ("", time.monotonic())

        def tell(stage: str) -> None:
            self.stage = stage, time.monotonic()

        future.set_result(work(job, tell))
        return future

    def running(self, future: Future[Outcome]) -> Running | None:
        """The stage that was begun last."""
        return self.stage

    def kill(self, future: Future[Outcome], error: BaseException) -> None:
        """Nothing: by the time it could be asked for the job is done."""

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:  # type: ignore[override]
        """Nothing was taken, nothing is given back."""
