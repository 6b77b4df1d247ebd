"""What a process that analyses images may take, and what there is of it: memory, processors, GPUs."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SHARE = 0.8
"""Part of the machine's memory that workers together may take where nothing else is asked for."""

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may take."""


def _number(path: Path) -> int | None:
    """The first number in a file of the system; None where there is none (or the word max)."""
    try:
        return int(path.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def processors() -> int:
    """Processors that this process may use: those the system gives it, or fewer where its container has a share."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            count = min(count, max(1, round(int(quota) / int(period))))
    return count


def memory_bytes() -> int | None:
    """Memory of this machine, or of its container where that is less; None where the system does not say."""
    try:
        installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    allowed = (_number(CGROUP / name) for name in ("memory.max", "memory/memory.limit_in_bytes"))
    return min([installed, *(number for number in allowed if number is not None)])


def share_of_memory(workers: int) -> int | None:
    """Bytes that each of some workers may take where nothing else is asked for; None where nobody knows."""
    there = memory_bytes()
    return None if there is None else int(SHARE * there / max(1, workers))


def limit_memory(bytes_: int | None) -> None:
    """Have this process get a MemoryError beyond some bytes of data, instead of taking the machine down.

    Data, not addresses, are counted: what is mapped but never used, as GPUs' drivers and threads do, costs nothing.
    Systems that do not know the limit go without.
    """
    if bytes_ is None:
        return
    with suppress(ImportError, OSError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        soft = bytes_ if hard == resource.RLIM_INFINITY else min(bytes_, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def claim_gpu(count: int, folder: Path) -> int | None:
    """The number of a GPU that no other worker of this folder has; None where all are taken or the system has no locks.

    The claim is a locked file, which the system gives free when the process ends, however it ends.
    """
    try:
        import fcntl
    except ImportError:
        return None
    for number in range(count):
        handle = os.open(folder / f"gpu{number}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            continue
        return number  # the handle stays open as long as the process lives
    return None
