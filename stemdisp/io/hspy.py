"""HyperSpy's own files: .hspy, and the .hdf5 of older versions, read straight from HDF5.

Only the image, its axes and a few facts are touched: a HyperSpy file may also hold models and learning results, whose
restoring can run code.  Links of any kind that stand in the way are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ReadError
from .formats import Axis, RawImage, facts
from .hdf5 import attribute, child, descendant, image, opened
from .text import one_line


def described_axis(look_up: Callable[[str], Any]) -> Axis:
    """An axis from what HyperSpy writes about it: name, scale, units, navigate."""
    scale, unit, navigate = (look_up(name) for name in ("scale", "units", "navigate"))
    return Axis(
        str(look_up("name") or ""),
        float(scale) if isinstance(scale, (int, float)) else None,
        None if unit is None else str(unit),
        None if navigate is None else bool(navigate),
    )


def _signal(path: Path, group: Any) -> RawImage:
    def look_up(dotted: str) -> Any:
        *parents, last = dotted.split(".")
        return attribute(descendant(group, ".".join(["metadata", *parents])), last)

    def axis(number: int) -> Axis:
        described = child(group, f"axis-{number}")
        return described_axis(lambda name: attribute(described, name))

    data, title = child(group, "data"), str(look_up("General.title") or "")
    axes = tuple(axis(i) for i in range(data.ndim))
    return image(path, data, "" if title == "__unnamed__" else title, axes, facts(look_up))


def images(path: Path) -> list[RawImage]:
    """All signals of a file; raises ReadError for HDF5 files that HyperSpy did not write."""
    import h5py

    with opened(path) as file:
        experiments = child(file, "Experiments")
        if not isinstance(experiments, h5py.Group):
            raise ReadError(
                f"{one_line(path.name)}: Experiments is not HyperSpy's group of signals; "
                "open the file in HyperSpy and save it as .hspy"
            )
        groups = [child(experiments, key) for key in experiments]
        return [_signal(path, group) for group in groups if isinstance(child(group, "data"), h5py.Dataset)]
