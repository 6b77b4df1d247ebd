"""Checks: what is warned of, and at which size."""

from __future__ import annotations

from dataclasses import replace

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


@pytest.mark.parametrize(("axis", "size"), [("x", (9.5, 10.0)), ("y", (10.0, 10.4))])
def test_a_wrong_pixel_size_names_its_axis(parts, axis, size) -> None:
    found = quality(**(parts | {"pixel_size": PixelSize(*size, "file")}))
    assert len(found.warnings) == 1
    assert f"along {axis} a pixel is" in found.warnings[0] and "--pixel-size lattice" in found.warnings[0]


def test_departure_of_the_pixel_size(parts) -> None:
    found = check(parts, "pixel_size_x", pixel_size=PixelSize(9.8, 10.0, "file"))
    assert found.value == pytest.approx(100 * (10 / 9.8 - 1)) and not found.warn and "more" in found.sentence
    assert "less" in check(parts, "pixel_size_x", pixel_size=PixelSize(10.2, 10.0, "file")).sentence
    names = [c.name for c in quality(**(parts | {"pixel_size": None})).checks]
    assert "pixel_size_x" not in names and "shear" in names


def test_shear(parts) -> None:
    lattice = parts["lattice"]
    turned = replace(lattice, b=lattice.b + 0.02 * np.linalg.norm(lattice.b) * lattice.a / np.linalg.norm(lattice.a))
    assert abs(check(parts, "shear", lattice=turned).value) == pytest.approx(np.degrees(np.arctan(0.02)), rel=0.02)
    assert check(parts, "shear").value == pytest.approx(0, abs=1e-6)


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


def test_a_pixel_size_is_held_against_the_axes_that_the_crystal_has(crystal) -> None:
    """Tetragonal PbTiO3 is 4 % longer along c than the cube of its volume: that is no wrong calibration."""
    lattice, columns = crystal()
    material = replace(lattice.motif.material, strain=(-0.02, 0.042))
    strained = replace(lattice, motif=replace(lattice.motif, material=material))
    for off, warned in ((1.042, False), (0.98, False), (1.08, True), (0.94, True)):
        size = PixelSize(10.0 * off, 10.0, "file")
        found = quality(columns, strained, size, cells(columns, lattice), None, {}, {"HAADF": columns})
        assert bool([text for text in found.warnings if "along x a pixel" in text]) == warned


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


def test_errors_of_the_distortion_are_those_of_fits(parts, crystal) -> None:
    """Scatter of the lattice's own stretch and shear over images whose columns stand 0.3 px off at random."""
    lattice, columns = crystal(n=9)
    found, draw = [], np.random.default_rng(5)
    for _ in range(40):
        xy = columns.xy + draw.normal(0, 0.3, columns.xy.shape)
        moved = columns.replace(xy=xy)
        rows = columns.of_site("Ta")
        terms = np.column_stack([np.ones(rows.sum()), columns.hk[rows] + lattice.motif.fractions[columns.site[rows]]])
        origin, a, b = np.linalg.lstsq(terms, xy[rows], rcond=None)[0]
        fitted = replace(lattice, origin=origin, a=a, b=b)
        changes = {"columns": moved, "lattice": fitted, "by_signal": {"HAADF": moved}}
        found.append([(c.value, c.std) for c in (check(parts, n, **changes) for n in ("pixel_size_x", "shear"))])
    values, stds = np.array(found, dtype=float).transpose(2, 0, 1)
    assert values.std(axis=0) == pytest.approx(stds.mean(axis=0), rel=0.35)


def test_what_another_model_says_is_told(parts) -> None:
    columns, found = parts["columns"], parts["cells"]
    other = np.zeros_like(columns.xy)
    other[found.moving] = [0.3, 0.4]
    bias = check(parts, "model_bias", columns=columns.replace(xy_sys=other))
    assert bias.value == pytest.approx(5.0) and "(3.0, 4.0) pm" in bias.sentence
    assert all(one.name != "model_bias" for one in quality(**parts).checks)
