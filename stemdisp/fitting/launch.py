"""The compiled kernels on a GPU: the headers of the CPU, compiled when first used, by NVRTC through CuPy.

The image goes up once; columns are fitted in batches that fit the memory, and only their tables come down.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..backend import Device
from ..errors import DeviceError
from ..pulse import beat
from .cutouts import RESULTS

if TYPE_CHECKING:
    from .window import ColumnModel, Search, Starts

KERNELS = Path(__file__).parent / "kernel"

THREADS = 64
"""Threads of a block; one column takes up to 255 registers."""

SHARE = 0.5
"""Of the free memory, for the windows of one batch."""

SCALARS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}

TABLE = np.dtype(
    [
        *((name, np.int32) for name in ("n", "size", "nx", "ny")),
        *((name, np.uintp) for name in ("image", "weight", "start", "shape", "limit", "own")),
        *((name, np.float64) for name in ("radius", "ridge", "tolerance")),
        ("most", np.int32),
    ],
    align=True,
)
"""``WindowTable`` in kernel/window_tables.h."""


def window_macros(dtype: np.dtype[Any], model: ColumnModel, *, complete: bool) -> dict[str, str]:
    """What picks the fit of one kind of column in kernel/device.cu.

    As on a CPU, only least squares with one component has an instance for windows that have all their pixels.
    """
    from .window import SHAPES

    poisson, tail = model.likelihood == "poisson", model.tail > 0
    choices = {
        "SHAPE": SHAPES[model.shape],
        "PLANE": model.plane,
        "TAIL": tail,
        "POISSON": poisson,
        "WEIGHTED": poisson or tail or not complete,
    }
    chosen = {f"STEMDISP_{name}": str(int(value)) for name, value in choices.items()}
    return {"STEMDISP_SCALAR": SCALARS[np.dtype(dtype)], **chosen}


@lru_cache(maxsize=64)
def _module(macros: tuple[tuple[str, str], ...]) -> Any:
    import cupy

    options = ("-std=c++17", f"-I{KERNELS}", *(f"-D{name}={value}" for name, value in macros))
    return cupy.RawModule(code=(KERNELS / "device.cu").read_text(encoding="utf-8"), options=options)


def fit_windows(
    image: NDArray[Any],
    weight: NDArray[Any] | None,
    starts: Starts,
    model: ColumnModel,
    search: Search,
    device: Device,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Results (n, RESULTS) and reports (n, 3) of columns in windows, as the CPU's.

    Raises DeviceError, in one line, where the GPU's memory or its compiler does not do.
    """
    try:
        return _fit(image, weight, starts, model, search, device)
    except MemoryError as error:
        raise DeviceError(f"{device.name}: out of memory ({_line(error)}); use --device cpu") from error
    except RuntimeError as error:
        raise DeviceError(f"{device.name}: cannot compute ({_line(error)}); use --device cpu") from error


def _address(array: Any) -> int:
    return int(array.data.ptr)


def _free(xp: Any) -> int:
    """Bytes of the GPU's memory that can be had, those that CuPy keeps for later among them."""
    return int(xp.cuda.runtime.memGetInfo()[0] + xp.get_default_memory_pool().free_bytes())


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _fit(
    image: NDArray[Any],
    weight: NDArray[Any] | None,
    starts: Starts,
    model: ColumnModel,
    search: Search,
    device: Device,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    xp, n = device.xp, len(starts.xy)
    results, reports = xp.empty((n, RESULTS)), xp.empty((n, 3), dtype=np.int32)
    up = {
        "image": xp.asarray(image),
        "weight": None if weight is None else xp.asarray(weight),
        "start": xp.asarray(starts.xy, dtype=np.float64, order="C"),
        "shape": xp.asarray(starts.shape, dtype=np.float64, order="C"),
        "limit": xp.asarray(starts.limit, dtype=np.float64),
        "own": None if starts.own is None else xp.asarray(starts.own, dtype=np.float64),
    }
    table = np.zeros(1, dtype=TABLE)
    table["n"], table["size"], (table["ny"], table["nx"]) = n, search.size, image.shape
    for name, array in up.items():
        table[name] = 0 if array is None else _address(array)
    table["radius"], table["ridge"], table["tolerance"] = search.radius, search.ridge, search.tolerance
    table["most"] = search.evaluations
    table_up = xp.asarray(table.view(np.uint8))
    complete = _complete(up["image"], up["start"], search.size, xp)
    if weight is not None or np.isfinite(search.radius):
        complete = xp.zeros_like(complete)
    for whole in (True, False):
        rows = xp.flatnonzero(complete == whole).astype(np.int32)
        if not len(rows):
            continue
        macros = window_macros(image.dtype, model, complete=whole)
        kernel = _module(tuple(macros.items())).get_function("fit_windows")
        arrays = 2 if macros["STEMDISP_WEIGHTED"] == "1" else 1
        each = search.size**2 * image.itemsize * arrays
        batch = max(THREADS, int(SHARE * _free(xp)) // each)
        for low in range(0, len(rows), batch):
            beat()
            part = rows[low : low + batch]
            room = xp.empty((arrays, search.size**2 * len(part)), dtype=image.dtype)
            given = (
                table_up,
                float(model.tail),
                float(model.ratio) ** -2,
                room[0],
                room[-1],
                part,
                np.int32(len(part)),
            )
            kernel((-(-len(part) // THREADS),), (THREADS,), (*given, results, reports))
    return device.down(results), device.down(reports)


def _complete(image: Any, start: Any, size: int, xp: Any) -> Any:
    """(n,) windows that have all their pixels."""
    half, (ny, nx) = size // 2, image.shape
    middle = xp.floor(start + 0.5).astype(np.int64)
    inside = ((middle >= half) & (middle + half < xp.asarray([nx, ny]))).all(axis=1)
    missing = xp.zeros((ny + 1, nx + 1), dtype=np.int32)
    missing[1:, 1:] = (~xp.isfinite(image)).cumsum(axis=0).cumsum(axis=1)
    x, y = xp.clip(middle[:, 0], half, max(nx - 1 - half, half)), xp.clip(middle[:, 1], half, max(ny - 1 - half, half))
    left, right = xp.clip(x - half, 0, nx), xp.clip(x + half + 1, 0, nx)
    top, bottom = xp.clip(y - half, 0, ny), xp.clip(y + half + 1, 0, ny)
    holes = missing[bottom, right] - missing[top, right] - missing[bottom, left] + missing[top, left]
    return inside & (holes == 0)
