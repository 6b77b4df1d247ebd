"""NeXus files (.nxs), as HyperSpy writes them and others that keep to NXdata, read straight from HDF5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import hdf5
from .formats import Axis, RawImage, facts

MOST_AXES = 32
"""Longest list of axes that is read; NumPy has no more dimensions."""


def _listed(group: Any, name: str) -> list[str]:
    """An attribute that is a list of names, or one text with commas between them."""
    import h5py

    one = hdf5.attribute(group, name)
    if one is not None:
        return str(one).replace(":", ",").strip("[]").split(",")
    if name not in group.attrs:
        return []
    described = group.attrs.get_id(name)
    texts = described.dtype.kind == "S" or h5py.check_string_dtype(described.dtype)
    if not texts or len(described.shape) != 1 or described.shape[0] > MOST_AXES:
        return []
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in group.attrs[name]]


def _axis(group: Any, name: str, navigate: bool | None) -> Axis:
    positions = hdf5.child(group, name) if name != "." else None
    unit = hdf5.attribute(positions, "units")
    return Axis("" if name == "." else name, hdf5.step(positions), str(unit) if unit else None, navigate)


def _navigation(group: Any, dimensions: int) -> list[bool | None]:
    """What the file says that the last dimensions are: of an image, or of a spectrum; None where it does not."""
    within = {"image": 2, "spectrum": 1}.get(str(hdf5.attribute(group, "interpretation")))
    if within is None:
        return [None] * dimensions
    return [i < dimensions - within for i in range(dimensions)]


def _look_up(group: Any) -> Callable[[str], Any]:
    """The description that HyperSpy stores beside the signal, by dotted keys."""

    def look_up(dotted: str) -> Any:
        found = hdf5.descendant(group.parent, f"auxiliary.hyperspy_metadata.{dotted}")
        return hdf5.single(found)

    return look_up


def _image(path: Path, group: Any) -> RawImage | None:
    import h5py

    signal = hdf5.attribute(group, "signal")
    data = hdf5.child(group, signal if isinstance(signal, str) else "data")
    if not isinstance(data, h5py.Dataset):
        return None
    names = _listed(group, "axes")[: data.ndim]
    names += ["."] * (data.ndim - len(names))
    navigation = _navigation(group, data.ndim)
    axes = tuple(_axis(group, name, navigate) for name, navigate in zip(names, navigation, strict=True))
    title = group.name.rsplit("/", 1)[-1]
    return hdf5.image(path, data, "" if title.startswith("unnamed__") else title, axes, facts(_look_up(group)))


def images(path: Path) -> list[RawImage]:
    """The signal of every NXdata group, called after the group."""
    with hdf5.opened(path) as file:
        found = [_image(path, group) for group in hdf5.groups(file) if hdf5.attribute(group, "NX_class") == "NXdata"]
        return [image for image in found if image is not None]
