"""Workers of a Dask cluster, on this machine or on many: they read and write the files themselves, outcomes travel.

Whoever starts the scheduler decides who may use it: its messages are Python objects, which run code.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from ..errors import DeviceError
from ..io.text import one_line
from .executor import JobExecutor, Running, Work
from .job import Job, Outcome
from .work import ProcessDiedError

LOCAL = "local"
"""Instead of an address: a cluster of its own on this machine."""

TOPIC = "stemdisp-stage"
"""Under which workers say what they are at."""

SECONDS_TO_ANSWER = 20
"""After which a scheduler is taken to be absent."""


def _in_worker(work: Work, job: Job, number: int) -> Outcome:
    """Run a job in a worker of the cluster."""
    from distributed import get_worker

    worker = get_worker()

    def tell(stage: str) -> None:
        worker.log_event(TOPIC, {"number": number, "stage": stage, "worker": worker.address})

    return work(job, tell)


def _client(address: str, workers: int, memory: int | None) -> tuple[Any, Any]:
    """A client, and the cluster behind it where it is ours."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise DeviceError("Dask is not installed; install stemdisp[dask]") from error
    if address == LOCAL:
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=memory or "auto",
            dashboard_address=None,
            host="127.0.0.1",
        )
        return Client(cluster), cluster
    try:
        if address.endswith(".json"):
            return Client(scheduler_file=address, timeout=SECONDS_TO_ANSWER), None
        return Client(address, timeout=SECONDS_TO_ANSWER), None
    except (OSError, ValueError, TimeoutError) as error:
        raise DeviceError(
            f"no Dask scheduler answers at {one_line(address)} ({one_line(error, 80)}); start one: dask scheduler"
        ) from error


class Cluster(JobExecutor):
    """The workers of a Dask scheduler.

    Parameters
    ----------
    address
        Of the scheduler, as tcp://HOST:8786, or the file (.json) that it was told to write its address to; "local"
        starts one with ``workers`` workers on this machine.
    workers, memory
        How many, and bytes for each; of a local cluster alone.

    Raises
    ------
    DeviceError
        Where Dask is not installed, no scheduler answers, or it has no worker.
    """

    def __init__(self, address: str, workers: int = 1, memory: int | None = None) -> None:
        self.client, self.own = _client(address, workers, memory)
        self.started: dict[int, tuple[str, float, str]] = {}
        self.tasks: dict[Future[Outcome], tuple[int, Any]] = {}
        self.errors: dict[int, BaseException] = {}
        self.count = 0
        threads = self.client.nthreads()
        if not threads:
            self.shutdown(cancel_futures=True)
            raise DeviceError(f"the Dask scheduler at {one_line(address)} has no workers; start some: dask worker")
        self.size = sum(threads.values())
        self.client.subscribe_topic(TOPIC, self._hear)

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        said = event[1]
        self.started[said["number"]] = said["stage"], time.monotonic(), said["worker"]

    def submit(self, work: Work, /, job: Job) -> Future[Outcome]:  # type: ignore[override]
        """Have a worker of the cluster run ``work(job, tell)``; Dask gives it to another where the first one dies."""
        self.count += 1
        number, future = self.count, Future[Outcome]()
        future.set_running_or_notify_cancel()
        task = self.client.submit(_in_worker, work, job, number, pure=False, key=f"stemdisp-{os.getpid()}-{number}")
        self.tasks[future] = number, task
        task.add_done_callback(lambda done: self._end(future, number, done))
        return future

    def _end(self, future: Future[Outcome], number: int, task: Any) -> None:
        from distributed.scheduler import KilledWorker

        try:
            future.set_result(task.result())
        except KilledWorker:
            died = ProcessDiedError("the workers that analysed it died, one after the other")
            future.set_exception(self.errors.pop(number, died))
        except BaseException as error:
            future.set_exception(self.errors.pop(number, ProcessDiedError(f"ended in {type(error).__name__}")))
        self.tasks.pop(future, None)
        self.started.pop(number, None)

    def running(self, future: Future[Outcome]) -> Running | None:
        """Stage of a job and when it was heard of; None while it waits."""
        number, _ = self.tasks.get(future, (0, None))
        found = self.started.get(number)
        return None if found is None else found[:2]

    def kill(self, future: Future[Outcome], error: BaseException) -> None:
        """Cancel a job, and have the worker that runs it started again: Dask cannot interrupt one."""
        number, task = self.tasks.get(future, (0, None))
        if task is None:
            return
        self.errors[number] = error
        _, _, worker = self.started.get(number, ("", 0.0, ""))
        task.cancel()
        if worker:
            with suppress(
                Exception
            ):  # one that was started without a nanny cannot be; its job is given up all the same
                self.client.restart_workers([worker], timeout=SECONDS_TO_ANSWER)

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:  # type: ignore[override]
        """Let go of the scheduler, and end it where it is ours; jobs that run elsewhere are cancelled."""
        for _, task in list(self.tasks.values()):
            if cancel_futures:
                task.cancel()
            elif wait:
                with suppress(Exception):
                    task.result()
        self.client.close()
        if self.own is not None:
            self.own.close()
