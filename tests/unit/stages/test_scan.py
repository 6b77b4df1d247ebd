"""What is said of the scan: calibration, distortion, drift and jitter, and by how much each can move a displacement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.model.distortion import Distortion
from stemdisp.model.fields import VectorField
from stemdisp.model.micrograph import PixelSize, Signal
from stemdisp.stages.cells import cells
from stemdisp.stages.scan import scan


@pytest.fixture
def parts(crystal):
    """Arguments of scan for an ideal crystal at 10 pm a pixel in an empty image."""
    lattice, columns = crystal(n=9)
    shape = tuple(np.ceil(columns.xy.max(axis=0)).astype(int)[::-1] + 30)
    return {
        "columns": columns,
        "cells": cells(columns, lattice),
        "lattice": lattice,
        "signal": Signal("HAADF", np.zeros(shape)),
        "pixel_size": PixelSize(10.0, 10.0, "file"),
    }


def check(parts, name, **changes):
    found = scan(**(parts | changes))
    return next(c for c in found if c.name == name)


def moved_by(parts, uv, **changes):
    """A field of equal vectors."""
    found = parts["cells"]
    known = np.where(found.complete[:, None], np.tile(uv, (len(found), 1)), np.nan)
    return VectorField("pm", found.xy, known, np.zeros((len(found), 2, 2)), **changes)


@pytest.mark.parametrize(("axis", "size"), [("x", (9.5, 10.0)), ("y", (10.0, 10.4))])
def test_a_wrong_pixel_size_names_its_axis(parts, axis, size) -> None:
    (warned,) = (c.sentence for c in scan(**(parts | {"pixel_size": PixelSize(*size, "file")})) if c.warn)
    assert f"along {axis} a pixel is" in warned and "--pixel-size lattice" in warned


def test_departure_of_the_pixel_size(parts) -> None:
    found = check(parts, "pixel_size_x", pixel_size=PixelSize(9.8, 10.0, "file"))
    assert found.value == pytest.approx(100 * (10 / 9.8 - 1)) and not found.warn and "more" in found.sentence
    assert "less" in check(parts, "pixel_size_x", pixel_size=PixelSize(10.2, 10.0, "file")).sentence
    assert [c.name for c in scan(**(parts | {"pixel_size": None}))] == ["shear"]


def test_a_calibration_moves_displacements_in_proportion(parts) -> None:
    changes = {"pixel_size": PixelSize(9.8, 10.0, "file"), "displacement": moved_by(parts, (12.0, 9.0))}
    assert check(parts, "pixel_size_x", **changes).displacement_pm == pytest.approx(15 * (10 / 9.8 - 1))
    assert check(parts, "pixel_size_x").displacement_pm is None


def test_shear(parts) -> None:
    lattice = parts["lattice"]
    turned = replace(lattice, b=lattice.b + 0.02 * np.linalg.norm(lattice.b) * lattice.a / np.linalg.norm(lattice.a))
    assert abs(check(parts, "shear", lattice=turned).value) == pytest.approx(np.degrees(np.arctan(0.02)), rel=0.02)
    assert check(parts, "shear").value == pytest.approx(0, abs=1e-6)


def test_a_pixel_size_is_held_against_the_axes_that_the_crystal_has(parts) -> None:
    """Tetragonal PbTiO3 is 4 % longer along c than the cube of its volume: that is no wrong calibration."""
    lattice = parts["lattice"]
    material = replace(lattice.motif.material, strain=(-0.02, 0.042))
    strained = replace(lattice, motif=replace(lattice.motif, material=material))
    for off, warned in ((1.042, False), (0.98, False), (1.08, True), (0.94, True)):
        size = PixelSize(10.0 * off, 10.0, "file")
        assert check(parts, "pixel_size_x", lattice=strained, pixel_size=size).warn == warned
    bent = Distortion(np.eye(2) * 1.01, np.full((2, 2), 1e-4), 80, "all of the crystal")
    assert "no cube" in check(parts, "affine_distortion", lattice=strained, distortion=bent).sentence
    assert "no cube" not in check(parts, "affine_distortion", distortion=bent).sentence


def test_errors_of_the_distortion_are_those_of_fits(parts) -> None:
    """Scatter of the lattice's own stretch and shear over images whose columns stand 0.3 px off at random."""
    columns, lattice = parts["columns"], parts["lattice"]
    found, draw = [], np.random.default_rng(5)
    for _ in range(40):
        xy = columns.xy + draw.normal(0, 0.3, columns.xy.shape)
        rows = columns.of_site("Ta")
        terms = np.column_stack([np.ones(rows.sum()), columns.hk[rows] + lattice.motif.fractions[columns.site[rows]]])
        origin, a, b = np.linalg.lstsq(terms, xy[rows], rcond=None)[0]
        changes = {"columns": columns.replace(xy=xy), "lattice": replace(lattice, origin=origin, a=a, b=b)}
        found.append([(c.value, c.std) for c in (check(parts, n, **changes) for n in ("pixel_size_x", "shear"))])
    values, stds = np.array(found, dtype=float).transpose(2, 0, 1)
    assert values.std(axis=0) == pytest.approx(stds.mean(axis=0), rel=0.35)


def test_what_the_distortion_does_is_said_and_ends_when_it_is_taken_out(parts) -> None:
    bent = Distortion(np.array([[1.02, 0.005], [0.005, 0.99]]), np.full((2, 2), 1e-4), 80, "all of the crystal")
    before = check(parts, "affine_distortion", distortion=bent, displacement=moved_by(parts, (20.0, 0.0)))
    assert before.value == pytest.approx(2.08, abs=0.02) and "contained in the displacements" in before.sentence
    assert before.displacement_pm == pytest.approx(np.hypot(0.39, 0.1), abs=0.02)
    taken = {"distortion": bent, "displacement": moved_by(parts, (20.0, 0.0), distortion=bent.matrix)}
    after = check(parts, "affine_distortion", **taken)
    assert after.displacement_pm is not None and after.displacement_pm < 0.01 and "taken out" in after.sentence
    assert check(parts, "pixel_size_x", **taken).displacement_pm is None
    assert check(parts, "affine_correction", **taken).value == pytest.approx(0, abs=1e-6)


def test_a_lattice_that_bends_down_the_image_is_a_drift(parts) -> None:
    """5 pm at top and bottom against the middle; and what bends along rows is none."""
    columns = parts["columns"]
    draw = np.random.default_rng(0)
    for axis, seen in ((1, True), (0, False)):
        along = columns.xy[:, axis] - columns.xy[:, axis].mean()
        xy = columns.xy + draw.normal(0, 0.02, columns.xy.shape)
        xy[:, 0] += 0.5 * (along / along.max()) ** 2
        found = check(parts, "slow_drift", columns=columns.replace(xy=xy))
        assert ("slow drift of" in found.sentence) == seen and ("below" in found.sentence) != seen
        if seen:
            assert found.value == pytest.approx(5 * 2 / 3 / np.sqrt(5), rel=0.25)


def test_an_empty_image_tells_no_jitter(parts) -> None:
    """Columns without a fitted width are not asked."""
    assert all(c.name != "row_jitter" for c in scan(**parts))
