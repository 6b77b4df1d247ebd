"""Which layers are poor in oxygen, in images whose vacancies are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.recipe import LayersSection
from stemdisp.scene import Dose, Edge, Scene, View
from stemdisp.stages.vacancies import vacancies
from stemdisp.synthetic import simulate

LOSSES = (0.4, 0.3, 0.2)
RECIPE = stemdisp.recipe_for("KTaO3", "1-10")


@cache
def analysed(losses: tuple[float, ...] = LOSSES, signals: tuple[str, ...] = ("HAADF", "ABF")) -> Analysis:
    scene = Scene(
        signals=signals,
        view=View(shape=(380, 300), pixel_size_pm=(12.5, 12.5)),
        edge=Edge(vacancies=losses),
        dose=Dose(peak_counts=3000, background_counts=300),
        seed=3,
    )
    return stemdisp.analyse(simulate(scene.facing(90))[0], RECIPE)


def test_poor_layers_are_named_and_no_other() -> None:
    profile = analysed().profile
    np.testing.assert_array_equal(profile.layer[profile.vacancy_rich == 1], [0, 1, 2])
    np.testing.assert_allclose(profile.o_contrast[:3], 1 - np.array(LOSSES), atol=0.05)
    np.testing.assert_allclose(profile.o_contrast[3:], 1, atol=0.06)
    assert (profile.o_contrast_sem[np.isfinite(profile.o_contrast)] < 0.03).all()


def test_a_full_crystal_has_no_poor_layer() -> None:
    profile = analysed(()).profile
    assert np.isfinite(profile.vacancy_rich).any() and not (profile.vacancy_rich == 1).any()


def test_nothing_expands_by_itself() -> None:
    profile = analysed().profile
    # The light of the cap draws at the outermost columns.
    known = np.isfinite(profile.expansion_pm) & (profile.layer > 0)
    assert known.sum() >= 8
    pulls = profile.expansion_pm[known] / profile.expansion_sem_pm[known]
    assert np.mean(pulls**2) < 2


def test_an_expanded_plane_is_seen() -> None:
    """All reference columns of the outermost plane moved outwards by 6 pm."""
    found = analysed()
    columns, lattice = found.columns, found.lattice
    assert columns and lattice
    planes = np.array(lattice.motif.rows(found.interface.plane))
    height = (columns.hk + lattice.motif.fractions[columns.site]) @ planes
    reference = columns.of_site("Ta")
    outermost = reference & (height > height[reference].max() - 0.25)
    moved = columns.xy + outermost[:, None] * 6.0 * found.interface.normal / 12.5
    again = run(found, columns=columns.replace(xy=moved))
    change = again.expansion_pm - run(found).expansion_pm
    first = np.flatnonzero(np.abs(change) > 3)
    assert len(first) == 1 and change[first[0]] == pytest.approx(6, abs=0.3)


def run(found: Analysis, **changes):
    values = {
        "columns": found.columns,
        "lattice": found.lattice,
        "cells": found.cells,
        "interface": found.interface,
        "bulk": found.displacement.offset_cells,
        "pixel_size": found.micrograph.pixel_size,
        "recipe": LayersSection(),
    }
    return vacancies(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bulk": np.zeros(0, dtype=bool)}, "no bulk"),
        ({"recipe": LayersSection(minimum_cells=1000)}, "no layer has 1000 oxygen columns"),
    ],
)
def test_what_is_missing_is_said_and_left_empty(changes, why) -> None:
    found = run(analysed(), **changes)
    assert why in found.sentence
    assert np.isnan(found.contrast).all() and np.isnan(found.rich).all()


def test_haadf_alone_says_nothing_of_oxygen() -> None:
    alone = analysed(LOSSES, ("HAADF",))
    assert "ABF" in alone.vacancies.sentence
    assert np.isnan(alone.profile.o_contrast).all() and np.isnan(alone.profile.vacancy_rich).all()


def test_unusable_oxygen_is_no_oxygen() -> None:
    found = analysed()
    flags = np.full(len(found.columns), 2, dtype=np.int64)
    empty = run(found, columns=replace(found.columns, flags=flags))
    assert "no oxygen column" in empty.sentence and np.isnan(empty.contrast).all()


def test_too_few_oxygen_columns_are_counted_and_left_out() -> None:
    found = analysed()
    oxygen = np.flatnonzero(found.columns.of_site("O") & found.columns.usable)
    flags = found.columns.flags.copy()
    flags[oxygen[2:]] = 2
    few = run(found, columns=replace(found.columns, flags=flags))
    assert "no layer has 3 oxygen columns" in few.sentence and "of 2 in all" in few.sentence
    assert np.isnan(few.contrast).all() and np.isnan(few.rich).all() and np.isnan(few.p_value).all()
