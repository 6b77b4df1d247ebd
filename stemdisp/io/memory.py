"""HyperSpy signals in memory, recognised by what they have, so that HyperSpy itself is not needed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ReadError
from .formats import LARGEST_BYTES, Axis, RawImage, facts, nested
from .text import one_line


def is_signal(source: Any) -> bool:
    """Whether something looks like a HyperSpy signal."""
    return all(hasattr(source, name) for name in ("data", "axes_manager", "metadata"))


def _axis(described: dict[str, Any]) -> Axis:
    scale, unit = described.get("scale"), described.get("units")
    return Axis(
        str(described.get("name") or ""),
        float(scale) if isinstance(scale, (int, float, np.number)) else None,
        unit if isinstance(unit, str) and unit != "<undefined>" else None,
        bool(described.get("navigate")),
    )


def image(signal: Any) -> RawImage:
    """A copy of the pixels of a signal (also of a lazy one), with its axes; masked pixels become NaN.

    Raises ReadError where the signal is larger than 4 GiB or behaves like none.
    """
    try:
        tree = signal.metadata.as_dictionary()
        axes = tuple(_axis(axis) for axis in signal.axes_manager.as_dictionary().values())
        size = math.prod(signal.data.shape) * signal.data.dtype.itemsize
        if size > LARGEST_BYTES:
            raise ReadError(f"signal in memory takes {size / 2**30:.1f} GiB; at most 4 GiB are read: pass one image")
        data: Any = signal.data
        if np.ma.isMaskedArray(data) and data.dtype.kind in "iuf":
            data = np.ma.filled(data.astype(np.result_type(data.dtype, np.float32)), np.nan)
        look_up = nested(tree)
        return RawImage(str(look_up("General.title") or ""), np.array(data), axes, facts(look_up))
    except ReadError:
        raise
    except Exception as error:
        cause = one_line(f"{type(error).__name__}: {error}")
        raise ReadError(f"{one_line(type(signal).__name__)} in memory is no HyperSpy image ({cause})") from error
