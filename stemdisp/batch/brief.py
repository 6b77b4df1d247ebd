"""What the list of a batch says of one result, read from summary.json and the table of layers, and never trusted."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ..errors import ReadError
from ..io.layer_table import LARGEST, Numbers, read_layer_table
from ..io.text import one_line
from ..io.within import MEGABYTE, read_within
from ..model.brief import QUANTITIES, Brief, Kind, Measured, SideLayers
from .catalogue import Entry

MOST_BYTES = 32 * MEGABYTE
"""Of summary.json; those of images with thousands of domain walls have a few."""

MOST_WARNINGS, LONGEST_WARNING = 50, 600

SEM = {name: name.replace("_pm", "_sem_pm").replace("_uC", "_sem_uC") for name in QUANTITIES}
"""Column of a quantity -> that of its standard error."""

WANTED = ("distance_nm", "n", "magnitude_pm", "magnitude_sem_pm", *QUANTITIES, *SEM.values())

AGAIN = "run it again"


def _at(found: Any, *names: str) -> Any:
    """What stands under names within names; None where a step of the way is not there."""
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _number(found: Any) -> float:
    """A number as it may be believed; NaN for anything else."""
    usable = isinstance(found, int | float) and not isinstance(found, bool) and abs(found) <= LARGEST
    return float(found) if usable else math.nan


def _count(found: Any) -> int | None:
    value = _number(found)
    return int(value) if value >= 0 and value.is_integer() else None


def _measured(value: float, std: float) -> Measured | None:
    return Measured(value, std) if math.isfinite(value) else None


def _indices(found: Any) -> tuple[int, ...]:
    """Indices of a direction or plane; empty where they are none."""
    if not isinstance(found, list) or not 1 <= len(found) <= 4 or not all(isinstance(one, int) for one in found):
        return ()
    return tuple(int(one) for one in found) if all(abs(one) < 100 for one in found) else ()


def _text(found: Any, longest: int = 100) -> str:
    return one_line(found, longest) if isinstance(found, str) else ""


def _sentences(found: Any) -> tuple[str, ...]:
    """Warnings as lines of text."""
    if not isinstance(found, list):
        return ()
    return tuple(_text(one, LONGEST_WARNING) or "?" for one in found[:MOST_WARNINGS])


def _mean(summary: Any) -> Measured | None:
    """Length of the mean displacement; its error is that of the mean vector along itself."""
    mean, sem = _at(summary, "displacement", "mean_pm"), _at(summary, "displacement", "sem_pm")
    if not all(isinstance(one, list) and len(one) == 2 for one in (mean, sem)):
        return None
    (x, y), (sx, sy) = (map(_number, one) for one in (mean, sem))
    length = math.hypot(x, y)
    return _measured(length, math.hypot(x * sx, y * sy) / length if length else math.nan)


def _seconds(found: Any) -> float | None:
    """CPU seconds of all stages together."""
    known = [_number(one) for one in found.values()] if isinstance(found, dict) else []
    return sum(one for one in known if one >= 0) if known else None


def _kind(summary: Any, side: int) -> Kind:
    """What the layers of one side are of."""
    told = summary if side == 0 else _at(summary, "other_side")
    plane = sorted((abs(one) for one in _indices(_at(told, "interface", "plane"))), reverse=True)
    spacing = _number(_at(told, "interface", "spacing_pm"))
    return Kind(
        _text(_at(summary, "lattice", "material"), 40),
        _indices(_at(summary, "lattice", "zone")),
        tuple(plane),
        round(spacing) if math.isfinite(spacing) else 0,
        side,
        _text(_at(told, "polarization", "model"), 40),
    )


def _sides(summary: Any, table: Numbers) -> tuple[SideLayers, ...]:
    """The layers of each side of the interface."""
    found = []
    for side in np.unique(table["side"]).astype(int):
        rows = np.flatnonzero(table["side"] == side)
        found.append(
            SideLayers(
                kind=_kind(summary, int(side)),
                layer=table["layer"][rows].astype(np.int64),
                distance_nm=table["distance_nm"][rows],
                n=table["n"][rows],
                means={name: table[name][rows] for name in QUANTITIES},
                sems={name: table[SEM[name]][rows] for name in QUANTITIES},
            )
        )
    return tuple(found)


def _strongest(table: Numbers) -> tuple[Measured | None, int | None]:
    """The longest mean displacement of a layer of the first side, and the number of that layer."""
    length = np.where(table["side"] == 0, table["magnitude_pm"], np.nan)
    if not np.isfinite(length).any():
        return None, None
    row = int(np.nanargmax(length))
    return Measured(float(length[row]), float(table["magnitude_sem_pm"][row])), int(table["layer"][row])


def _summary_of(entry: Entry) -> dict[str, Any]:
    """The summary of a result; raises ReadError."""
    try:
        found = json.loads(read_within(entry.folder, "summary.json", MOST_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ReadError("summary.json is damaged") from error
    if not isinstance(found, dict):
        raise ReadError("summary.json is damaged")
    return found


def brief_of(entry: Entry) -> Brief:
    """What the list says of one entry of a catalogue.

    A result of which a file cannot be read is "damaged", and says which; what the other file says is kept.
    """
    if entry.status != "done":
        return Brief(entry.label, entry.folder, entry.status, entry.sentence)
    troubles, summary, table = [], {}, None
    try:
        summary = _summary_of(entry)
    except ReadError as error:
        troubles.append(str(error))
    try:
        table = read_layer_table(entry.folder, WANTED)
    except ReadError as error:
        troubles.append(str(error))
    model = _text(_at(summary, "polarization", "model"), 40)
    along = _at(summary, "polarization", "models", model)
    strongest, layer = (None, None) if table is None else _strongest(table)
    return Brief(
        label=entry.label,
        folder=entry.folder,
        status="damaged" if troubles else "done",
        sentence="; ".join([*troubles, AGAIN]) if troubles else "",
        warnings=_sentences(summary.get("warnings")),
        columns=_count(_at(summary, "counts", "assigned")),
        displacements=_count(_at(summary, "counts", "displacements")),
        strongest=strongest,
        strongest_layer=layer,
        mean_pm=_mean(summary),
        polarization=_measured(
            _number(_at(along, "along_displacement_uC_cm2")), _number(_at(along, "along_displacement_std_uC_cm2"))
        ),
        polarization_of=_text(_at(summary, "polarization", "of")),
        model=model,
        seconds=_seconds(_at(summary, "seconds")),
        recipe=_text(summary.get("recipe"), 40),
        sides=() if table is None or not summary else _sides(summary, table),
    )
