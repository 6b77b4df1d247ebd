"""Images of the viewer as micrographs: those this plugin read, and those that others did."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from napari.layers import Image

import stemdisp
from stemdisp import Analysis, Micrograph, PixelSize, ReadError, Signal
from stemdisp.io.pairs import group_inputs

from .layers import KEY, micrograph_of, role
from .session import Draft

TO_PM = {"nanometer": 1000.0, "angstrom": 100.0, "picometer": 1.0, "micrometer": 1e6, "meter": 1e12}
"""Picometres in the units that a layer may have."""


def leave_with(layer: Image, draft: Draft) -> None:
    """Let an image carry what was done with it, for a panel that comes later."""
    layer.metadata = {**layer.metadata, KEY: {**(layer.metadata.get(KEY) or {}), "draft": draft}}


def left_with(layer: Image) -> Draft | None:
    """What an image carries since a panel was closed; it is taken off."""
    own = dict(layer.metadata.get(KEY) or {})
    draft = own.pop("draft", None)
    if draft is not None:
        layer.metadata = {**layer.metadata, KEY: own}
    return draft if isinstance(draft, Draft) else None


def fits(layer: object) -> bool:
    """Whether a layer is an image that may be analysed: no result of ours, no stack of frames."""
    return isinstance(layer, Image) and role(layer) in ("", "signal")


def adopted(layer: Image) -> tuple[Micrograph, tuple[Path, ...], Analysis | None]:
    """The micrograph of an image layer, the files it came from, and the analysis that was loaded with it.

    Raises ReadError, in a sentence, for what cannot be analysed.
    """
    own = layer.metadata.get(KEY) or {}
    known = micrograph_of(layer)
    path = Path(layer.source.path) if layer.source.path else None
    if known is not None:
        analysis = own.get("analysis")
        return known, tuple(own.get("paths", ())), analysis if isinstance(analysis, Analysis) else None
    if layer.rgb:
        raise ReadError(f"{layer.name} is a colour picture; open the microscope's own file")
    if layer.ndim != 2:
        raise ReadError(
            f"{layer.name} has {layer.ndim} dimensions; open the file with napari-stemdisp, or one image of it"
        )
    if path is not None:
        # The same numbers as on the command line: from the file itself.
        return stemdisp.read(path), (path,), None
    return _from_pixels(layer), (), None


def pair_up(layers: Sequence[Image]) -> None:
    """Make images that were opened one by one, and whose names say that they are one area, one micrograph.

    Raises ReadError where they do not fit together.
    """
    alone = {}
    for layer in layers:
        paths = (layer.metadata.get(KEY) or {}).get("paths", ())
        if len(paths) == 1 and len(layer.metadata[KEY]["micrograph"].signals) == 1:
            alone[Path(os.path.abspath(paths[0]))] = layer
    if len(alone) < 2:
        return
    for one in group_inputs(list(alone)):
        own = [alone[path] for path in one.paths if path in alone]
        if len(own) < 2:
            continue
        together = stemdisp.read(*one.paths, name=one.name)
        for layer in own:
            known = {**layer.metadata[KEY], "micrograph": together, "paths": tuple(one.paths)}
            layer.metadata = {**layer.metadata, KEY: known}


def _from_pixels(layer: Image) -> Micrograph:
    name = "ABF" if "ABF" in layer.name.upper() else "HAADF"
    image = np.asarray(layer.data)
    signal = Signal(name, image, -1 if name == "ABF" else 1)
    return Micrograph(layer.name, {name: signal}, _size(layer))


def _size(layer: Image) -> PixelSize | None:
    """The pixel size that a layer's scale and units say, None where they do not."""
    factors = [TO_PM.get(str(unit)) for unit in layer.units[-2:]]
    if any(factor is None for factor in factors):
        return None
    y, x = (scale * factor for scale, factor in zip(layer.scale[-2:], factors, strict=True) if factor is not None)
    return PixelSize(float(x), float(y), "file") if 0.5 <= x <= 200 and 0.5 <= y <= 200 else None
