"""The numbers of two kept images are those of the last release, or CHANGELOG.md says why they are not."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from regression.make import HEAD, SCENES, analyse, rows

HERE = Path(__file__).parent

SAME_PX, SAME_PM = 1e-3, 0.02
"""The fit stops at movements of 1e-3 px, which is 0.014 pm here; compilers and libraries differ by less."""

ADVICE = (
    'if that is meant: run "python tests/regression/make.py", and write which numbers changed, by how much and why, '
    'under "Numbers change" in CHANGELOG.md'
)

Key = tuple[str, str, str]
Table = dict[Key, dict[str, str]]


@cache
def frozen(zone: str) -> Table:
    """Lines of the kept table by (site, h, k)."""
    with (HERE / f"numbers_{zone}.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == HEAD
        return {(line["site"], line["h"], line["k"]): line for line in reader}


@cache
def measured(zone: str) -> Table:
    """The same from a new analysis."""
    lines = [dict(zip(HEAD, row, strict=True)) for row in rows(analyse(zone))]
    return {(line["site"], line["h"], line["k"]): line for line in lines}


def _numbers(table: Table, keys: list[Key], names: tuple[str, ...]) -> NDArray[np.float64]:
    return np.array([[float(table[key][name] or "nan") for name in names] for key in keys])


@pytest.mark.parametrize("zone", SCENES)
def test_the_same_columns_with_the_same_flags(zone: str) -> None:
    old, new = frozen(zone), measured(zone)
    assert set(new) == set(old), f"other columns or other indices; {ADVICE}"
    for name in ("flags", "layer"):
        other = {key: (old[key][name], new[key][name]) for key in old if old[key][name] != new[key][name]}
        assert not other, f"{name} (before, now) differ: {other}; {ADVICE}"


@pytest.mark.parametrize(
    ("names", "limit", "unit"), [(("x_px", "y_px"), SAME_PX, "px"), (("dx_pm", "dy_pm"), SAME_PM, "pm")]
)
@pytest.mark.parametrize("zone", SCENES)
def test_the_same_numbers(zone: str, names: tuple[str, str], limit: float, unit: str) -> None:
    old, new = frozen(zone), measured(zone)
    keys = sorted(set(old) & set(new))
    before, now = _numbers(old, keys, names), _numbers(new, keys, names)
    known = np.isfinite(before).all(axis=1)
    assert known.sum() > 25
    assert (np.isfinite(now).all(axis=1) == known).all(), f"other columns than before have {names}; {ADVICE}"
    away = np.abs(now - before)[known].max(axis=1)
    worst = [key for key, is_known in zip(keys, known, strict=True) if is_known][int(away.argmax())]
    assert away.max() <= limit, (
        f"{(away > limit).sum()} of {len(away)} moved, {worst} by {away.max():.2g} {unit} (limit {limit:g}); {ADVICE}"
    )
