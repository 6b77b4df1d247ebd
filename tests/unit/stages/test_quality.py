"""Checks: what is warned of, and at which size."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.flags import Flag
from stemdisp.model.fields import VectorField
from stemdisp.model.micrograph import PixelSize
from stemdisp.stages.cells import cells
from stemdisp.stages.quality import quality


@pytest.fixture
def parts(crystal):
    """Arguments of quality for an ideal image of 10 pm a pixel."""
    lattice, columns = crystal()
    return {
        "columns": columns,
        "lattice": lattice,
        "pixel_size": PixelSize(10.0, 10.0, "file"),
        "cells": cells(columns, lattice),
        "displacement": None,
        "shifts": {},
        "by_signal": {"HAADF": columns},
    }


def check(parts, name, **changes):
    found = quality(**(parts | changes))
    return next(c for c in found.checks if c.name == name)


@pytest.mark.parametrize(("offset", "warned"), [((3.0, 4.1), True), ((2.0, 2.0), False), ((0.0, 0.0), False)])
def test_a_large_offset_is_warned_of(parts, offset, warned) -> None:
    n = len(parts["cells"])
    field = VectorField(
        "pm",
        parts["cells"].xy,
        np.zeros((n, 2)),
        np.zeros((n, 2, 2)),
        offset=np.array(offset),
        offset_std=np.array([0.3, 0.4]),
        offset_cells=np.ones(n, dtype=bool),
    )
    found = check(parts, "reference_offset", displacement=field)
    assert found.warn == warned and found.value == pytest.approx(np.hypot(*offset))
    assert found.std is not None and 0.3 <= found.std <= 0.4


def test_without_a_reference_the_mean_is_told(parts) -> None:
    n = len(parts["cells"])
    field = VectorField("pm", parts["cells"].xy, np.tile([3.0, -4.0], (n, 1)), np.zeros((n, 2, 2)), assumption="so")
    found = check(parts, "mean_displacement", displacement=field)
    assert found.value == pytest.approx(5) and found.std == 0 and not found.warn
    assert f"the mean of all {n} cells is (3.0 +- 0.0, -4.0 +- 0.0) pm" in found.sentence
    assert "agree to 1.00, by chance with a probability of 1e-09 or less (Rayleigh)" in found.sentence


def test_directions_at_random_are_told(parts) -> None:
    n = len(parts["cells"])
    uv = np.random.default_rng(0).standard_normal((n, 2))
    field = VectorField("pm", parts["cells"].xy, uv, np.zeros((n, 2, 2)), assumption="so")
    level = float(check(parts, "mean_displacement", displacement=field).sentence.split("probability of ")[1].split()[0])
    assert 0.01 < level <= 1


def test_sites_that_the_first_signal_does_not_resolve(parts) -> None:
    """Without another signal they are empty; with one everything comes from there."""
    columns = parts["columns"]
    shoulders = np.where(columns.of_site("K"), int(Flag.UNRESOLVED), 0)
    first = columns.replace(flags=columns.flags | shoulders)
    empty = check(parts, "unresolved_K", columns=first, by_signal={"HAADF": first})
    assert empty.value == columns.of_site("K").sum() and empty.warn and "left without a position" in empty.sentence
    both = columns.replace(signals=("HAADF", "ABF"), signal=np.ones(len(columns), dtype=np.int64))
    found = quality(**(parts | {"columns": both, "by_signal": {both.signals[0]: first}}))
    named = [c for c in found.checks if c.name.startswith("unresolved")]
    assert [c.name for c in named] == ["unresolved_K"] and "all positions come from ABF" in named[0].sentence


def test_shift_of_a_signal(parts) -> None:
    found = quality(**(parts | {"shifts": {"HAADF": (0.0, 0.0), "ABF": (0.3, -0.4)}}))
    named = [c for c in found.checks if c.name.startswith("shift_")]
    assert [c.name for c in named] == ["shift_ABF"] and named[0].value == pytest.approx(0.5)


@pytest.mark.parametrize(("share", "warned"), [(0.05, False), (0.2, True)])
def test_flagged_columns_are_counted(parts, share, warned) -> None:
    columns = parts["columns"]
    flags = columns.flags.copy()
    count = int(share * len(columns))
    flags[:count] = int(Flag.WEAK)
    found = check(parts, "weak", columns=columns.replace(flags=flags))
    assert found.value == count and found.warn == warned


def test_incomplete_cells_are_counted(parts) -> None:
    incomplete = int((~parts["cells"].complete).sum())
    assert check(parts, "incomplete_cells").value == incomplete == 9


def test_columns_that_stand_close_to_brighter_ones(parts) -> None:
    columns = parts["columns"]
    for width, warned in ((3.0, False), (9.0, True)):
        found = check(parts, "overlap", columns=columns.replace(sigma=np.full((len(columns), 2), width)))
        assert found.warn == warned and "widths from Ta columns in HAADF" in found.sentence


@pytest.mark.parametrize(("shift_pm", "moved_pm", "called"), [(4.0, 0.0, True), (0.5, 0.0, False), (4.0, 40.0, False)])
def test_abf_off_haadf_is_a_tilt_unless_mixed_columns_explain_it(parts, shift_pm, moved_pm, called) -> None:
    columns, found = parts["columns"], parts["cells"]
    draw = np.random.default_rng(3)
    xy = columns.xy + draw.normal(0, 0.02, columns.xy.shape)
    xy[found.moving] += [shift_pm / 10, 0.0]
    n = len(found)
    uv = np.tile([moved_pm, 0.0], (n, 1))
    field = VectorField("pm", found.xy, uv, np.tile(np.eye(2), (n, 1, 1)))
    signals = {"HAADF": columns, "ABF": columns.replace(xy=xy)}
    tilt = check(parts, "tilt_proxy", displacement=field, by_signal=signals)
    assert tilt.warn == called and tilt.value == pytest.approx(shift_pm, abs=0.4) and 0 < tilt.std < 0.2
    assert ("tilt of the crystal" in tilt.sentence) == called


def test_of_one_signal_there_is_no_tilt_proxy(parts) -> None:
    assert all(one.name != "tilt_proxy" for one in quality(**parts).checks)


def test_what_another_model_says_is_told(parts) -> None:
    columns, found = parts["columns"], parts["cells"]
    other = np.zeros_like(columns.xy)
    other[found.moving] = [0.3, 0.4]
    bias = check(parts, "model_bias", columns=columns.replace(xy_sys=other))
    assert bias.value == pytest.approx(5.0) and "(3.0, 4.0) pm" in bias.sentence
    assert all(one.name != "model_bias" for one in quality(**parts).checks)
