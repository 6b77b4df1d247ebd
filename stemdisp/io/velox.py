"""Velox files (.emd of Thermo Fisher), read straight from HDF5: the images of all detectors, frames in order.

Spectra and spectrum images are not touched.  Tested with a file of Velox 2.9 (version 8) and files built like
versions 8 and 11.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from . import hdf5
from .formats import Axis, RawImage, as_text, nested, number, placeholder
from .text import one_line

WRITERS = ("Velox", "DevelopersKit")
"""What the file says that its format is."""

LONGEST_METADATA = 16 * 2**20
"""Longest description of an image in bytes; 60 000 are usual."""


def _parsed(written: str | None) -> dict[str, Any]:
    """A JSON object; empty where there is none."""
    found = json.loads(written) if written else {}
    return found if isinstance(found, dict) else {}


def _metadata(path: Path, group: Any) -> dict[str, Any]:
    """The description of the first frame: a column of letters, filled up with zeros."""
    letters = hdf5.child(group, "Metadata")
    if letters is None or letters.ndim != 2 or letters.dtype != np.uint8 or not 0 < len(letters) <= LONGEST_METADATA:
        return {}
    hdf5.check(path, letters, f"{one_line(path.name)}: description of an image")
    return _parsed(letters[:, 0].tobytes().rstrip(b"\0").decode("utf-8"))


def _reconstruction(operation: dict[str, Any], key: str) -> str:
    name = "iDPC" if operation.get("integrationMode") == "true" else "dDPC"
    unfiltered = key in str(operation.get("unfilteredDataPath")) or operation.get("enableFilter") != "true"
    return name if unfiltered else f"Filtered {name}"


def _difference(operation: dict[str, Any], _: str) -> str:
    outputs = operation.get("outputs") or [{}]
    return "B-D" if outputs[0].get("inputIndex") == "1" else "A-C"


OPERATIONS = {
    "CameraInputOperation": lambda operation, _: operation.get("cameraName"),
    "StemInputOperation": lambda operation, _: operation.get("detector"),
    "SurfaceReconstructionOperation": _reconstruction,
    "MathematicsOperation": _difference,
    "DpcOperation": lambda *_: "DPC",
    "IntegrationOperation": lambda *_: "DCFI",
    "FftOperation": lambda *_: "Half FFT",
}
"""Operations that make an image, the plainest first, and the name that they give it."""

PATHS = ("dataPath", "unfilteredDataPath", "imageOutputPath")
"""Where an operation says which image it makes; the last part of the path is the key of the image."""


def _last(path: Any) -> str:
    return str(path).rsplit("/", 1)[-1]


def _made(file: Any) -> Iterator[tuple[str, str]]:
    """Key of an image and the name that the operation which made it gives it."""
    for operation, name in OPERATIONS.items():
        for _, dataset in hdf5.members(hdf5.descendant(file, f"Operations.{operation}")):
            said = _parsed(hdf5.text(dataset))
            for key in (_last(said[path]) for path in PATHS if path in said):
                yield key, str(name(said, key) or "")


def _shown(file: Any) -> Iterator[tuple[str, str]]:
    """Key of an image and its label on the screen: of files with spectra, where maps of elements are images too."""
    for _, dataset in hdf5.members(hdf5.descendant(file, "Displays.ImageDisplay")):  # version 11 and later
        said = _parsed(hdf5.text(dataset))
        reference = hdf5.descendant(file, str(said.get("data", "")).strip("/").replace("/", "."))
        yield _last(_parsed(hdf5.text(reference)).get("dataPath")), str(said.get("id") or "")
    for _, dataset in hdf5.members(hdf5.descendant(file, "Presentation.Displays.ImageDisplay")):
        said = _parsed(hdf5.text(dataset))
        yield _last(said.get("dataPath")), str(nested(said)("display.label") or "")


def _names(file: Any) -> dict[str, str]:
    names: dict[str, str] = {}
    spectra = hdf5.descendant(file, "Data.SpectrumImage") is not None
    for key, name in [*(_shown(file) if spectra else ()), *_made(file)]:
        if name:
            names.setdefault(key, name)
    return names


def _facts(look_up: Any) -> dict[str, str]:
    seconds = number(look_up("Acquisition.AcquisitionStartDatetime.DateTime"))
    volts = number(look_up("Optics.AccelerationVoltage"))
    return as_text(
        {
            "date": datetime.fromtimestamp(seconds, UTC).date().isoformat()
            if seconds and 0 < seconds < 2**32
            else None,
            "beam_energy_keV": volts / 1000 if volts else None,
            "magnification": look_up("CustomProperties.StemMagnification.value"),
            "microscope": look_up("Instrument.InstrumentClass"),
        }
    )


def _detector(look_up: Any) -> str:
    index = look_up("BinaryResult.DetectorIndex")
    return str(look_up(f"Detectors.Detector-{index}.DetectorName") or look_up("BinaryResult.Detector") or "")


def _image(path: Path, key: str, group: Any, names: Mapping[str, str]) -> RawImage | None:
    data = hdf5.child(group, "Data")
    if data is None:
        return None
    look_up = nested(_metadata(path, group))
    title, facts = names.get(key) or _detector(look_up), _facts(look_up)
    plane = tuple(
        Axis(name, number(look_up(f"BinaryResult.PixelSize.{size}")), look_up(f"BinaryResult.PixelUnit{unit}"), False)
        for name, size, unit in (("y", "height", "Y"), ("x", "width", "X"))
    )
    if data.dtype.names:  # real and imaginary parts: Fourier transforms and DPC
        return placeholder(title, data.shape, np.complex64, (Axis(),) * data.ndim, facts)
    if data.ndim == 3:
        return hdf5.image(path, data, title, (Axis("frame", navigate=True), *plane), facts, (2, 0, 1))
    return hdf5.image(path, data, title, plane if data.ndim == 2 else (Axis(),) * data.ndim, facts)


def images(path: Path) -> list[RawImage]:
    """The images of a file, one for each detector or result, called as the microscope calls them."""
    with hdf5.opened(path) as file:
        version = _parsed(hdf5.text(hdf5.child(file, "Version")))
        if version.get("format") not in WRITERS:
            raise ReadError(f"{one_line(path.name)} is an HDF5 file of no known kind; Velox did not write it")
        names = _names(file)
        found = [_image(path, key, group, names) for key, group in hdf5.members(hdf5.descendant(file, "Data.Image"))]
        if not found:
            raise ReadError(f"{one_line(path.name)} holds spectra but no image; save the image in Velox")
        return [image for image in found if image is not None]
