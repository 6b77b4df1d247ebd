"""A synthetic micrograph as files: calibrated images and a table of what is true in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import StemdispError
from ..model.micrograph import Micrograph
from ..scene import Truth
from . import tables
from .text import one_line

PM_PER_NM = 1000.0


def _write_image(micrograph: Micrograph, signal: str, path: Path) -> None:
    """TIFF as ImageJ writes it, with the pixel size in nm."""
    import tifffile

    size = micrograph.pixel_size
    resolution = None if size is None else (PM_PER_NM / size.x_pm, PM_PER_NM / size.y_pm)
    image = np.asarray(micrograph.signals[signal].image)
    tifffile.imwrite(path, image, imagej=True, resolution=resolution, metadata={"unit": "nm", "axes": "YX"})


def truth_table(truth: Truth) -> dict[str, np.ndarray]:
    """One row a column: site, cell, true position, displacement from the ideal lattice (right, down) and layer."""
    return {
        "site": truth.site,
        "h": truth.hk[:, 0],
        "k": truth.hk[:, 1],
        "x_px": truth.xy[:, 0],
        "y_px": truth.xy[:, 1],
        "dx_pm": truth.displacement_pm[:, 0],
        "dy_pm": truth.displacement_pm[:, 1],
        "layer": truth.layer,
        "present": truth.present.astype(np.int64),
    }


def save_simulated(micrograph: Micrograph, truth: Truth, base: Path) -> list[Path]:
    """Write ``BASE_HAADF.tif`` (and ``_ABF.tif``) and ``BASE_truth.csv``; returns their paths, images first.

    Raises StemdispError where they cannot be written.
    """
    paths = [base.with_name(f"{base.name}_{signal}.tif") for signal in micrograph.signals]
    table = base.with_name(f"{base.name}_truth.csv")
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        for signal, path in zip(micrograph.signals, paths, strict=True):
            _write_image(micrograph, signal, path)
        tables.WRITERS["csv"](truth_table(truth), table)
    except OSError as error:
        raise StemdispError(f"{one_line(base.parent)} cannot be written: {error.strerror or error}") from error
    return [*paths, table]
