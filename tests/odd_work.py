"""Work that behaves as the name of its image says: what a worker may meet."""

from __future__ import annotations

import os
import signal
import time

from stemdisp.batch.executor import Tell
from stemdisp.batch.job import Job, Outcome


def by_name(job: Job, tell: Tell) -> Outcome:
    """Hang, die, take all memory, raise, or be done."""
    name, began = job.image.name, time.monotonic()
    tell("read")
    if name.startswith("hang"):
        time.sleep(600)
    tell("refine")
    if name.startswith("slow"):
        time.sleep(600)
    if name.startswith("exit"):
        os._exit(3)
    if name.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith("greedy"):
        taken = [bytearray(1 << 27) for _ in range(64)]
        assert taken is None, "8 GiB were there"
    if name.startswith("raise"):
        raise KeyError(name)
    if name.startswith("once") and not (marker := job.folder.with_suffix(".tried")).exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("nap"):
        time.sleep(0.5)
    return Outcome(job.name, job.folder, "done", str(os.getpid()), seconds=time.monotonic() - began)
