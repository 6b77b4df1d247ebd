"""Write index.html: one page over all images of a batch, with everything inside but the reports that it leads to."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..io.text import one_line
from ..model.brief import Brief, Measured
from ..model.pooled import PooledProfile, Spread
from .page import environment
from .thumbnail import thumbnail
from .words import JOIN, NOTHING, SUBSCRIPTS, count, fixed, number, overlined, with_error

REPORT = "report.html"

MOST_FIGURES, MOST_KINDS = 8, 40
"""Pooled profiles that are drawn, and that are on the page at all."""

LAYERS_SHOWN = 60

MOST_NAMED = 20
"""Images that are named where many failed for one reason."""

LONGEST_SENTENCE = 150
"""Characters of a sentence in the list; the whole of it stands among the failures."""

Row = dict[str, Any]


def _link(brief: Brief) -> str:
    """Address of an image's report from the page, made of the names of folders alone; empty where there is none."""
    if not (brief.folder / REPORT).is_file():
        return ""
    return "./" + quote(os.fsencode(f"{brief.label}/{REPORT}"))


def _key(one: Measured | float | None) -> str:
    """What a cell is sorted by."""
    value = one.value if isinstance(one, Measured) else one
    return "" if value is None or not math.isfinite(value) else f"{value:.9g}"


def _shown(one: Measured | None) -> str:
    return NOTHING if one is None else with_error(one.value, one.std)


def _strongest(brief: Brief) -> str:
    where = "" if brief.strongest_layer is None else f" (layer {brief.strongest_layer})".replace(" ", JOIN)
    return _shown(brief.strongest) + where


def _rows(briefs: Sequence[Brief]) -> Iterator[Row]:
    """One row an image, made one after the other: pictures of thousands would fill the memory."""
    for brief in briefs:
        numbers = (
            (NOTHING if brief.columns is None else str(brief.columns), brief.columns),
            (NOTHING if brief.displacements is None else str(brief.displacements), brief.displacements),
            (_strongest(brief), brief.strongest),
            (_shown(brief.mean_pm), brief.mean_pm),
            (_shown(brief.polarization), brief.polarization),
        )
        yield {
            "label": one_line(brief.label),
            "link": _link(brief),
            "picture": thumbnail(brief.folder) if brief.status != "failed" else None,
            "status": brief.status,
            "sentence": brief.sentence,
            "short": one_line(brief.sentence, LONGEST_SENTENCE),
            "numbers": [{"text": text, "key": _key(key)} for text, key in numbers],
            "warnings": [sentence.replace("+-", "±") for sentence in brief.warnings],
            "seconds": {"text": number(brief.seconds), "key": _key(brief.seconds)},
        }


def _failures(briefs: Sequence[Brief]) -> list[Row]:
    """Reasons of failure and the images that failed for each, the commonest first."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for brief in briefs:
        if brief.status == "failed":
            own = rf"(?<!\w){re.escape(Path(brief.label).name)}(?=[._])"  # else no two images failed for one reason
            by_reason[re.sub(own, "…", brief.sentence)].append(one_line(brief.label, 80))
    commonest = sorted(by_reason.items(), key=lambda one: (-len(one[1]), one[0]))
    return [
        {"reason": reason, "count": len(names), "labels": names[:MOST_NAMED], "more": max(0, len(names) - MOST_NAMED)}
        for reason, names in commonest
    ]


def _title(profile: PooledProfile) -> str:
    """Crystal, zone axis, planes, and side."""
    kind = profile.kind
    crystal = kind.material.translate(SUBSCRIPTS) or "A crystal without a name"
    zone = f" along {overlined(kind.zone)}" if kind.zone else ""
    planes = f", {overlined(kind.plane, '{}')} layers {kind.spacing_pm:.0f}{JOIN}pm apart" if kind.plane else ""
    return f"{crystal}{zone}{planes}{', beyond the interface' if kind.side else ''}"


def _pair(spread: Spread, row: int) -> list[str]:
    return [with_error(spread.mean[row], spread.sem[row]), _like(spread.sd[row], spread.sem[row])]


def _like(value: float, std: float) -> str:
    """A scatter with the decimals of its error.

    >>> _like(1.2345, 0.021), _like(1.2345, float("nan"))
    ('1.234', '1.23')
    """
    if not (math.isfinite(value) and math.isfinite(std) and std > 0):
        return number(value)
    return fixed(value, min(max(1 - math.floor(math.log10(std)), 0), 9))


def _profile(profile: PooledProfile, picture: str) -> Row:
    """A pooled profile as text."""
    polar = any(math.isfinite(one) for one in profile.spreads["p_parallel_uC_cm2"].mean)
    names = ["parallel_pm", "normal_pm"] + (["p_parallel_uC_cm2", "p_normal_uC_cm2"] if polar else [])
    return {
        "title": _title(profile),
        "images": count(profile.images, "image"),
        "single": profile.images == 1,
        "recipes": profile.recipes,
        "model": profile.kind.model.replace("_", " "),
        "polar": polar,
        "picture": picture,
        "left_out": max(0, len(profile) - LAYERS_SHOWN),
        "rows": [
            {
                "layer": int(profile.layer[n]),
                "distance": fixed(profile.distance_nm[n], 2),
                "images": int(profile.spreads["parallel_pm"].images[n]),
                "cells": int(profile.cells[n]),
                "pairs": [text for name in names for text in _pair(profile.spreads[name], n)],
            }
            for n in range(min(len(profile), LAYERS_SHOWN))
        ],
    }


def _profiles(profiles: Sequence[PooledProfile]) -> Iterator[Row]:
    from ..figures.pooled import pooled_png

    for n, profile in enumerate(profiles[:MOST_KINDS]):
        picture = base64.b64encode(pooled_png(profile)).decode("ascii") if n < MOST_FIGURES else ""
        yield _profile(profile, picture)


def _counts(briefs: Sequence[Brief]) -> Row:
    return {
        "images": count(len(briefs), "image"),
        **{status: sum(one.status == status for one in briefs) for status in ("done", "failed", "damaged")},
        "warned": sum(bool(one.warnings) for one in briefs),
        "layered": sum(bool(one.sides) for one in briefs),
        "layerless": sum(one.status == "done" and not one.sides for one in briefs),
    }


def _hash(text: str) -> str:
    """The name by which the page allows its own script, and no other."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def write_index_page(path: Path, name: str, briefs: Sequence[Brief], profiles: Sequence[PooledProfile]) -> None:
    """Write the page over all images of a batch.

    Parameters
    ----------
    path
        The HTML file; reports are linked relative to it.
    name
        What the batch is called.
    briefs
        The images, in the order in which they are listed.
    profiles
        Their layers, pooled.
    """
    pages = environment()
    page = pages.get_template("index.html").generate(
        name=one_line(name),
        version=__version__,
        counts=_counts(briefs),
        failures=_failures(briefs),
        rows=_rows(briefs),
        profiles=_profiles(profiles),
        more_kinds=max(0, len(profiles) - MOST_KINDS),
        models=sorted({one.model.replace("_", " ") for one in briefs if one.model}),
        script=_hash(pages.get_template("sort.js").render()),
    )
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(page)
