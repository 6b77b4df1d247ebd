"""NumPy arrays on disk (.npy), never with pickled objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .formats import Axis, RawImage, check_size, is_image, placeholder


def images(path: Path) -> list[RawImage]:
    """The array of a .npy file; raises whatever NumPy does for a damaged header or for Python objects."""
    data = np.load(path, mmap_mode="r", allow_pickle=False)
    axes = (Axis(),) * data.ndim
    if not is_image(data.shape, data.dtype, axes):
        return [placeholder("", data.shape, data.dtype, axes)]
    check_size(path, data.shape, data.dtype.itemsize, path.stat().st_size)
    return [RawImage("", np.array(data), axes)]
