"""One run at a time in one output folder."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import StemdispError
from ..io.text import one_line

LOCK = ".stemdisp.lock"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _boot() -> str:
    """What tells one start of this machine from the next; empty where the system does not say."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    """Whether a process of this machine is there; True where that cannot be asked without harm."""
    if os.name == "nt" or pid <= 0:
        return pid > 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ours() -> dict[str, str | int]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot()}


def _holder(handle: int) -> dict[str, object]:
    """Who wrote the lock; empty where nobody did or it is damaged."""
    try:
        found = json.loads(os.pread(handle, 4096, 0) if hasattr(os, "pread") else os.read(handle, 4096))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_stale(holder: dict[str, object]) -> bool:
    """Whether the process that wrote a lock is gone for certain: of this machine, and dead or from before its start."""
    if not holder:
        return True
    ours = _ours()
    if holder.get("host") != ours["host"]:
        return False
    if holder.get("boot") and ours["boot"] and holder["boot"] != ours["boot"]:
        return True
    pid = holder.get("pid")
    return not (isinstance(pid, int) and _runs(pid))


def _claim(handle: int) -> bool:
    """Ask the system for the file; it lets go by itself when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: pid and host decide alone
        return True
    return True


def _same_file(handle: int, path: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


def _acquire(path: Path) -> int:
    """An open, claimed lock file with our name in it; raises BlockingIOError where another run holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        free = _claim(handle)
        holder = _holder(handle)
        if not free or not _is_stale(holder):
            os.close(handle)
            who = f"process {holder.get('pid', '?')} on {one_line(holder.get('host', '?'), 60)}"
            raise BlockingIOError(
                f"{one_line(path.parent)} is used by another run ({who}); wait for it, "
                f"or delete {one_line(path)} if that run is gone"
            )
        if _same_file(handle, path):  # else the last holder removed the file between our opening and claiming it
            os.truncate(handle, 0)
            os.write(handle, json.dumps(_ours()).encode())
            return handle
        os.close(handle)


def holder(folder: Path) -> str | None:
    """Who works in an output folder now; None where nobody does."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        found = _holder(handle)
    finally:
        os.close(handle)
    return None if _is_stale(found) else f"process {found.get('pid', '?')} on {one_line(found.get('host', '?'), 60)}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the output folder (made if absent) during the block.

    Raises BlockingIOError with one sentence where another run holds it; the lock of a dead one is taken over.
    Raises StemdispError where the folder cannot be written.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _acquire(path)
    except BlockingIOError:
        raise
    except OSError as error:
        raise StemdispError(f"{one_line(folder)} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)
