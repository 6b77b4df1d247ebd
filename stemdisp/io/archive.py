"""An analysis as one .npz file and back, bit for bit, without pickle.

Arrays stand in the archive under short names; everything else is one JSON document, ``document``, that refers to them.
Only the nouns listed here are ever made from it.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import recipe
from ..crystal import Motif
from ..errors import ReadError
from ..materials import Atom, Material
from ..model.analysis import Analysis
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.dilution import Dilution
from ..model.distortion import Distortion
from ..model.domains import Domains, Vortex, Wall
from ..model.external import ExternalProfile, RankCorrelation
from ..model.fields import Offset, VectorField
from ..model.fit import Fit
from ..model.headline import Direction, Estimate, Headline
from ..model.interface import Interface
from ..model.lattice import Lattice
from ..model.maps import Maps
from ..model.micrograph import InputFile, Micrograph, PixelSize, Signal
from ..model.profile import Decay, Profile
from ..model.quality import Check, Quality
from ..model.repeats import FramePrecision, Repeat
from ..model.side import Side
from ..model.vacancies import Vacancies
from .text import one_line

NOUNS: dict[str, type[Any]] = {
    noun.__name__: noun
    for noun in (
        *(
            Analysis,
            Atom,
            Check,
            Columns,
            Decay,
            Dilution,
            Direction,
            Distortion,
            Domains,
            Estimate,
            ExternalProfile,
            Fit,
            FramePrecision,
            Headline,
            InputFile,
            Interface,
            Lattice,
            Maps,
            Material,
            Micrograph,
            Motif,
            Offset,
        ),
        *(
            PixelSize,
            Profile,
            Quality,
            RankCorrelation,
            Repeat,
            Side,
            Signal,
            UnitCells,
            Vacancies,
            VectorField,
            Vortex,
            Wall,
        ),
    )
}

LEVEL = 1
"""Deflate level: noise compresses little, tables of whole numbers well; higher levels cost time for nothing."""

SAMPLE, WORTH = 1 << 16, 0.25
"""An array of which so many bytes shrink to less than this part is deflated. Others are stored as they are: pixels
would take longer than the analysis, and counts shrink to a third at best."""


def _encode(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """JSON for a value; arrays are put aside.  Raises TypeError for what has no place in an analysis."""
    if isinstance(value, np.ndarray):
        known = next((name for name, array in arrays.items() if array is value), f"a{len(arrays)}")
        arrays[known] = value
        return {"array": known}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return [_encode(item, arrays) for item in value]
    if isinstance(value, Mapping):
        return {"map": [[_encode(key, arrays), _encode(item, arrays)] for key, item in value.items()]}
    if isinstance(value, recipe.Recipe):
        return {"recipe": value.model_dump(mode="json")}
    if is_dataclass(value) and type(value).__name__ in NOUNS:
        stored = (field.name for field in fields(value) if "memory" not in field.metadata)
        inside = {name: _encode(getattr(value, name), arrays) for name in stored}
        return {"noun": type(value).__name__, "fields": inside}
    raise TypeError(f"a {type(value).__name__} cannot be stored")


def _decode_noun(node: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    """A noun; fields that this version does not know are left out, those it knows alone must have a default."""
    noun = NOUNS[node["noun"]]
    given = {name: _decode(inside, arrays) for name, inside in node["fields"].items()}
    known = {field.name: given[field.name] for field in fields(noun) if field.init and field.name in given}
    for field in fields(noun):
        if field.name not in known and field.default is MISSING and field.default_factory is MISSING:
            raise KeyError(f"{node['noun']}.{field.name}")
    return noun(**known)


_DECODERS: dict[str, Callable[[dict[str, Any], Mapping[str, NDArray[Any]]], Any]] = {
    "array": lambda node, arrays: arrays[node["array"]],
    "float": lambda node, arrays: float(node["float"]),
    "map": lambda node, arrays: {_decode(key, arrays): _decode(item, arrays) for key, item in node["map"]},
    "recipe": lambda node, arrays: recipe.parse(node["recipe"], "stored recipe"),
    "noun": _decode_noun,
}


def _decode(node: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The value that a piece of JSON stands for; lists become tuples, as everywhere in the nouns."""
    if isinstance(node, list):
        return tuple(_decode(item, arrays) for item in node)
    if isinstance(node, dict):
        return next(make for kind, make in _DECODERS.items() if kind in node)(node, arrays)
    return node


def _shrinks(array: NDArray[Any]) -> bool:
    """Whether the middle of an array takes much less room deflated."""
    flat = array.reshape(-1)
    half = max(1, SAMPLE // 2 // max(1, flat.itemsize))
    sample = flat[max(0, len(flat) // 2 - half) : len(flat) // 2 + half].tobytes()
    return len(zlib.compress(sample, LEVEL)) < WORTH * len(sample)


def _write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """An .npz file whose bytes depend on the arrays alone (``numpy.savez`` writes the time of day into it)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED if _shrinks(array) else zipfile.ZIP_STORED
            member._compresslevel = LEVEL  # type: ignore[attr-defined]  # public only from Python 3.13 on
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def write(analysis: Analysis, path: Path) -> None:
    """Write an analysis, losslessly; raises TypeError or ValueError for what is no plain data."""
    arrays: dict[str, NDArray[Any]] = {}
    text = json.dumps(_encode(analysis, arrays), allow_nan=False, ensure_ascii=True)
    _write_npz(path, {"document": np.frombuffer(text.encode(), dtype=np.uint8), **arrays})


def read(path: Path) -> Analysis:
    """The analysis in a file that :func:`write` made; raises ReadError for any other."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        analysis = _decode(json.loads(arrays.pop("document").tobytes()), arrays)
    except Exception as error:
        raise ReadError(
            f"{one_line(path)} is damaged or was not written by stemdisp ({type(error).__name__})"
        ) from error
    if not isinstance(analysis, Analysis):
        raise ReadError(f"{one_line(path)} holds a {type(analysis).__name__} instead of an analysis")
    return analysis
