"""Files and result folders as napari layers: every signal calibrated, stacks with their aligned frames."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_error, show_info

from stemdisp import Analysis, Micrograph, ReadError, StemdispError, load, read_frames
from stemdisp.batch.catalogue import catalogue
from stemdisp.io.formats import is_store
from stemdisp.io.pairs import group_inputs
from stemdisp.io.store import ARCHIVE, FAILURE, RECORD
from stemdisp.io.text import one_line

from .layers import KEY, LayerData, grid_of
from .pages import Batch

log = logging.getLogger(__name__)

Reader = Callable[[str | Sequence[str]], list[Any]]

SHOWN = (0.1, 99.9)
"""Percentiles of the values that black and white stand for: columns are not clipped, single hot pixels do not count."""

MOST_SAMPLED = 1 << 20
"""Pixels that percentiles are taken of; more would not change what is seen."""

NOTHING = [(None,)]
"""What napari takes as: read, and there is nothing to show."""

Series = dict[str, Any]
"""Signal -> its frames (F, ny, nx)."""


def limits(image: np.ndarray) -> tuple[float, float]:
    """The values that are shown black and white; missing pixels (NaN) do not count."""
    step = max(1, round((image.size / MOST_SAMPLED) ** 0.5))
    sample = image[::step, ::step]
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite, SHOWN).tolist() if finite.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def layers_of(
    micrograph: Micrograph,
    series: Series | None = None,
    analysis: Analysis | None = None,
    paths: Sequence[Path] = (),
) -> list[LayerData]:
    """The layers of a micrograph.

    Parameters
    ----------
    micrograph
        Its signals are one image layer each, the first of them shown, the others hidden above it.
    series
        Signal -> its frames (F, ny, nx) on the same pixels: hidden layers of three dimensions.
    analysis
        What is known of it, for the layers' metadata.
    paths
        Files that it was read from.
    """
    known = {"micrograph": micrograph, "paths": tuple(paths), **({} if analysis is None else {"analysis": analysis})}
    placed, shared = grid_of(micrograph), {"colormap": "gray", "multiscale": False, "rgb": False}
    layers: list[LayerData] = []
    for number, (name, signal) in enumerate(micrograph.signals.items()):
        layers.append(
            (
                signal.image,
                {
                    **placed,
                    **shared,
                    "name": _title(micrograph, name),
                    "contrast_limits": limits(signal.image),
                    "visible": number == 0,
                    "metadata": {"stemdisp": {"role": "signal", "signal": name, **known}},
                },
                "image",
            )
        )
    for name, frames in (series or {}).items():
        layers.append(
            (
                frames,
                {
                    "scale": (1.0, *placed["scale"]),
                    "units": ("dimensionless", *placed["units"]),
                    "axis_labels": ("frame", *placed["axis_labels"]),
                    **shared,
                    "name": f"{_title(micrograph, name)} frames",
                    "contrast_limits": limits(frames[0]),
                    "visible": False,
                    "metadata": {"stemdisp": {"role": "frames", "signal": name, **known}},
                },
                "image",
            )
        )
    return layers


def _title(micrograph: Micrograph, signal: str) -> str:
    """Name of a signal's layer; the name of a file often says the detector already."""
    said = signal.casefold() in micrograph.name.casefold()
    return micrograph.name if said and len(micrograph.signals) == 1 else f"{micrograph.name} {signal}"


def _partner(path: Path) -> Path | None:
    """The file beside one that shows the same area in the other detector."""
    try:
        sets = group_inputs([path.parent])
    except StemdispError:  # the image was read, which is what was asked for
        return None
    for one in sets:
        if len(one.paths) > 1 and Path(os.path.abspath(path)) in one.paths:
            return next(other for other in one.paths if other.name != path.name)
    return None


def _read_images(paths: Sequence[Path]) -> list[LayerData]:
    """The layers of files: those whose names differ in the detector alone are one micrograph."""
    layers: list[LayerData] = []
    sets = group_inputs(paths)
    for one in sets:
        layers += layers_of(*read_frames(*one.paths, name=one.name), paths=one.paths)
    if len(sets) == len(sets[0].paths) == 1:
        partner = _partner(paths[0])
        if partner is not None:
            show_info(
                f"{partner.name} lies beside {paths[0].name}. To have both measured as one image, open them together: "
                "File > Open Files as Stack, or drop both with Shift pressed."
            )
    return layers


def read_page(batch: Batch, number: int) -> list[LayerData]:
    """The layers of one result of a batch; raises StemdispError where there is none to be shown."""
    entry = batch.entries[number]
    if entry.status != "done":
        raise ReadError(f"{one_line(entry.label)} {entry.status}: {entry.sentence}")
    analysis = load(entry.folder)
    layers = layers_of(analysis.micrograph, analysis=analysis)
    for _, meta, _ in layers:
        meta["metadata"][KEY] |= {"batch": batch, "page": number}
    return layers


def _read_batch(batch: Batch) -> list[LayerData]:
    """The layers of the first result that can be shown; the panel pages through all."""
    for number, entry in enumerate(batch.entries):
        if entry.status == "done":
            try:
                layers = read_page(batch, number)
            except StemdispError:
                continue
            show_info(f"{batch.name} holds {len(batch.entries)} images: the panel STEM displacement turns its pages.")
            return layers
    first = batch.entries[0]
    raise StemdispError(
        f"{batch.name} holds {len(batch.entries)} images, and no result of them can be shown; "
        f"{one_line(first.label)}: {first.sentence or 'its result is damaged'}"
    )


def _read_result(folder: Path) -> list[LayerData]:
    """The layers of a result folder, or of the first result in the output folder of a batch."""
    if any((folder / name).is_file() for name in (RECORD, FAILURE, ARCHIVE)):
        found = folder
    else:
        try:
            entries = catalogue(folder)
        except ReadError as error:
            raise StemdispError(
                f"{folder.name} holds no result of stemdisp ({RECORD} is missing); open the images in it"
            ) from error
        if len(entries) > 1:
            return _read_batch(Batch(folder, tuple(entries)))
        found = entries[0].folder
    analysis = load(found)
    return layers_of(analysis.micrograph, analysis=analysis)


def _said(read: Callable[[], list[LayerData]]) -> list[Any]:
    """What was read, or nothing after the sentence that says why not was shown."""
    try:
        return read()
    except StemdispError as error:
        sentence = str(error)
    except MemoryError:
        sentence = "the memory of this machine does not suffice; open a smaller part of the image"
    log.warning("%s", sentence)
    show_error(sentence)
    return list(NOTHING)


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(path)] if isinstance(path, str | os.PathLike) else [Path(one) for one in path]


def get_image_reader(path: str | Sequence[str]) -> Reader:
    """The reader of image files; several paths are read together, as one image where their names say so."""
    return lambda path: _said(lambda: _read_images(_paths(path)))


def get_folder_reader(path: str | Sequence[str]) -> Reader | None:
    """The reader of folders: results of stemdisp, output folders of batches, and .zspy, which is an image."""
    folders = _paths(path)
    if all(is_store(folder) for folder in folders):
        return get_image_reader(path)
    return lambda path: _said(lambda: [layer for folder in _paths(path) for layer in _read_result(folder)])
