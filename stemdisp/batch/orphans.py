"""No process outlives the one that asked for it.

Imported first by the process that workers are forked from, which then ends with its parent even while it still imports
the rest.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing import connection, parent_process

PR_SET_PDEATHSIG = 1
"""Of Linux' prctl: the signal that a process gets when its parent dies."""


def end_with_system_parent() -> None:
    """Have the system kill this process when the one it was forked from ends; only Linux knows how."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_parent() -> None:
    """End this process when the one that asked for it ends, however that ends and whatever this one does."""
    end_with_system_parent()
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()


if "multiprocessing.forkserver" in " ".join(sys.orig_argv[:3]):
    end_with_system_parent()
