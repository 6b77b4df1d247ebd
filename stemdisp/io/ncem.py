"""EMD files of the NCEM kind (Berkeley, Prismatic, py4DSTEM, DE5, RosettaSciIO), read straight from HDF5.

Every group marked as EMD holds ``data`` and a vector of positions for each of its dimensions, ``dim1`` (or ``dim0``)
on.  Programs that count x first store images turned over; what their axes are called tells which.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import hdf5
from .calibration import unit_in_pm
from .formats import Axis, RawImage, as_text, number

DATA = ("data", "realslice", "datacube", "diffractionslice", "counted_datacube")
"""What the array of a group is called, now and in older versions."""

X_FIRST = ("/signals/", "/4DSTEM_simulation/")
"""Groups in which RosettaSciIO and Prismatic write; both count x first."""

NAMES_OF_X, NAMES_OF_Y = ("x", "width"), ("y", "height")


def _array(group: Any) -> Any:
    import h5py

    if "emd_group_type" not in group.attrs:
        return None
    found = (hdf5.child(group, name) for name in DATA)
    return next((one for one in found if isinstance(one, h5py.Dataset)), None)


def _axis(group: Any, number_: int) -> Axis:
    positions = hdf5.child(group, f"dim{number_}")
    unit, name = hdf5.attribute(positions, "units"), hdf5.attribute(positions, "name")
    return Axis(str(name or ""), hdf5.step(positions), str(unit) if unit else None)


def _is_turned(group: Any, axes: tuple[Axis, ...]) -> bool:
    """Whether the array counts x first: by the names of its axes, or else by the program that wrote it."""
    names = [axis.name.casefold() for axis in axes]
    if len(axes) < 2:
        return False
    if names[-2] in NAMES_OF_Y and names[-1] in NAMES_OF_X:
        return False
    return (names[0] in NAMES_OF_X and names[1] in NAMES_OF_Y) or group.name.startswith(X_FIRST)


def _with_frames(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Axes of which the last two are known to be within an image, and those before them to count frames."""
    lengths = [unit_in_pm(axis.unit) is not None for axis in axes]
    if len(axes) == 3 and lengths[1:] == [True, True]:
        return tuple(Axis(axis.name, axis.scale, axis.unit, i == 0) for i, axis in enumerate(axes))
    return axes


def _image(path: Path, group: Any, data: Any, facts: dict[str, str]) -> RawImage:
    first = 0 if hdf5.child(group, "dim0") is not None else 1
    axes = tuple(_axis(group, first + i) for i in range(data.ndim))
    order = tuple(range(data.ndim))
    if first == 1 and _is_turned(group, axes):
        axes, order = axes[::-1], order[::-1]
    return hdf5.image(path, data, group.name.rsplit("/", 1)[-1], _with_frames(axes), facts, order)


def _facts(file: Any) -> dict[str, str]:
    microscope = hdf5.child(file, "microscope")
    volts = number(hdf5.attribute(microscope, "high tension"))
    return as_text(
        {
            "beam_energy_keV": volts / 1000 if volts else None,
            "magnification": hdf5.attribute(microscope, "magnification"),
            "microscope": hdf5.attribute(microscope, "name"),
        }
    )


def images(path: Path) -> list[RawImage]:
    """Every array that is marked as EMD, called after its group."""
    with hdf5.opened(path) as file:
        facts = _facts(file)
        found = ((group, _array(group)) for group in hdf5.groups(file))
        return [_image(path, group, data, facts) for group, data in found if data is not None]
