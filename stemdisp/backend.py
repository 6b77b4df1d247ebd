"""Where arrays are computed: NumPy on the CPU, or CuPy on a GPU.  The only module that imports CuPy."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from .errors import DeviceError

log = logging.getLogger(__name__)

Choice = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True)
class Device:
    """A place to compute.

    ``xp`` is the array namespace (numpy or cupy); ``name`` is what reports print. On a CPU the compiled kernel is used
    where it was built, unless ``compiled`` is False, on ``threads`` threads; their number changes no result. Beside a
    GPU these threads fit all columns at once, and the GPU single ones (fitting.engine says why).
    ``required`` says that this device was asked for, so that no other may take its place.
    """

    name: str
    xp: Any
    compiled: bool = True
    threads: int = 1
    required: bool = False

    @property
    def is_gpu(self) -> bool:
        """Whether arrays live on a GPU."""
        return self.xp is not np

    def up(self, array: Any) -> Any:
        """The array on this device."""
        return self.xp.asarray(array)

    def down(self, array: Any) -> Any:
        """The array as NumPy."""
        return self.xp.asnumpy(array) if self.is_gpu else np.asarray(array)


def _threads() -> int:
    """Threads for the kernel: as many as OMP_NUM_THREADS allows, else one for each processor this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


CPU = Device("cpu", np, threads=_threads())


INSTALL = "install stemdisp[cuda12] or stemdisp[cuda13], whichever the driver is for"


@lru_cache(maxsize=1)
def _gpu() -> Device | str:
    """The first GPU, or one line that says why there is none.

    A kernel of one element is compiled and run: CuPy imports, and even says it is available, where the compiler is
    missing.
    """
    try:
        import cupy
    except ImportError as error:
        return f"CuPy is not installed ({_first_line(error)}); {INSTALL}"
    except Exception as error:
        return f"CuPy cannot be imported ({type(error).__name__}: {_first_line(error)}); {INSTALL}"
    try:
        if not cupy.cuda.is_available():
            return "CuPy is installed but no CUDA device or driver was found"
        properties = cupy.cuda.runtime.getDeviceProperties(0)
    except Exception as error:
        return f"CuPy is installed but its device does not answer ({type(error).__name__}: {_first_line(error)})"
    try:
        (cupy.ones(1) + 1).sum().get()
    except Exception as error:
        missing = "nvrtc" in str(error).lower()
        why = "finds no CUDA compiler (NVRTC)" if missing else "cannot compute"
        then = f"; {INSTALL}" if missing else ""
        return f"CuPy is installed but {why} ({type(error).__name__}: {_first_line(error)}){then}"
    return Device(f"gpu: {properties['name'].decode()}", cupy)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def choose(choice: Choice = "auto") -> Device:
    """The device asked for; ``auto`` takes a GPU that works, else the CPU and logs why.

    Raises DeviceError where a GPU was asked for and none works.
    """
    cpu = replace(CPU, threads=_threads())  # a worker among others is told of its share after this module is loaded
    if choice == "cpu":
        return cpu
    found = _gpu()
    if isinstance(found, Device):
        return replace(found, threads=cpu.threads, required=choice == "gpu")
    if choice == "gpu":
        raise DeviceError(f"device gpu: {found}; use --device cpu")
    log.info("computing on the CPU: %s", found)
    return cpu


def gpus() -> int:
    """How many GPUs this process may use; 0 where none works."""
    found = _gpu()
    return int(found.xp.cuda.runtime.getDeviceCount()) if isinstance(found, Device) else 0
