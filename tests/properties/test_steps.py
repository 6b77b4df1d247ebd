"""Running again with an earlier analysis at hand: only what changed is done, and the numbers are those of a fresh
run."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import Micrograph, PixelSize
from stemdisp.motion import Motion
from stemdisp.pipeline import STAGES
from stemdisp.pulse import Stopped, listening
from stemdisp.scene import Edge, Scene, View
from stemdisp.synthetic import simulate

RECIPE = stemdisp.recipe_for("KTaO3", "1-10")
ORDER = list(STAGES)

CHANGES: dict[str, tuple[dict[str, dict[str, Any]], str | None]] = {
    "nothing": ({}, None),
    "find": ({"find": {"threshold": 0.3}}, "find"),
    "image": ({"image": {"pixel_size": [14.2, 14.2]}}, "find"),
    "basis": ({"basis": {"scale_tolerance": 0.1}}, "basis"),
    "assign": ({"assign": {"tolerance": 0.25}}, "assign"),
    "refine": ({"refine": {"weak_window": 1.2}}, "refine"),
    "interface": ({"interface": {"plane": "111"}}, "interface"),
    "displacement": ({"displacement": {"reference": "none"}}, "displacement"),
    "polarization": ({"polarization": {"charge": 1.0}}, "polarization"),
    "layers": ({"layers": {"minimum_cells": 2}}, "vacancies"),
    "layers and refine": ({"layers": {"minimum_cells": 2}, "refine": {"weak_window": 1.2}}, "refine"),
}
"""What changes -> the first step that has to run again."""


@cache
def image() -> Micrograph:
    """A small interface."""
    scene = Scene(
        view=View(shape=(230, 330), pixel_size_pm=(14.0, 14.0)),
        edge=Edge(offset_A=4.0),
        motion=Motion(parallel_pm=20),
    )
    return simulate(scene.facing(90))[0]


@cache
def finished() -> Analysis:
    """Its analysis."""
    return stemdisp.analyse(image(), RECIPE)


def _assert_same(one: Analysis, other: Analysis) -> None:
    assert one.columns is not None and other.columns is not None
    for name, array in one.columns.arrays().items():
        np.testing.assert_array_equal(getattr(other.columns, name), array)
    for a, b in ((one.displacement, other.displacement), (one.polarization, other.polarization)):
        assert a is not None and b is not None
        np.testing.assert_array_equal(a.uv, b.uv)
    assert one.profile is not None and other.profile is not None
    for name, array in one.profile.arrays().items():
        np.testing.assert_array_equal(getattr(other.profile, name), array)
    assert one.notes == other.notes and one.recipe == other.recipe


@pytest.mark.parametrize("what", CHANGES)
def test_only_what_changed_runs_again(what: str) -> None:
    """The steps yielded are those from the first changed one on; the result is that of a run from the beginning."""
    changes, first = CHANGES[what]
    recipe = RECIPE.with_values(changes)
    ran = list(stemdisp.steps(image(), recipe, start=finished()))
    assert [name for name, _ in ran] == (ORDER[ORDER.index(first) :] if first else [])
    again = stemdisp.analyse(image(), recipe, start=finished())
    _assert_same(again, stemdisp.analyse(image(), recipe))


def test_all_steps_in_order() -> None:
    """A first run yields every step once, in order, and knows more after each."""
    ran = list(stemdisp.steps(image(), RECIPE))
    assert [name for name, _ in ran] == ORDER
    known = [sum(value is not None for value in vars(analysis).values()) for _, analysis in ran]
    assert known == sorted(known)
    assert set(ran[-1][1].seconds) == set(ORDER)


def test_another_image_starts_from_the_beginning() -> None:
    """An analysis of other pixels, or of the same pixels with another size in the file, is of no use."""
    brighter = Micrograph(
        "other", {"HAADF": stemdisp.Signal("HAADF", image().signals["HAADF"].image * 2)}, image().pixel_size
    )
    resized = image().with_pixel_size(PixelSize(14.1, 14.1, "file"))
    for other in (brighter, resized):
        assert next(iter(stemdisp.steps(other, RECIPE, start=finished())))[0] == "find"


@pytest.mark.parametrize("last", ["find", "assign", "refine", "displacement"])
def test_an_unfinished_analysis_goes_on_where_it_stopped(last: str) -> None:
    """What ran is not run again; the result is that of a run in one go."""
    part = next(analysis for name, analysis in stemdisp.steps(image(), RECIPE) if name == last)
    ran = [name for name, _ in stemdisp.steps(image(), RECIPE, start=part)]
    assert ran == ORDER[ORDER.index(last) + 1 :] == list(stemdisp.stale(image(), RECIPE, part))
    _assert_same(stemdisp.analyse(image(), RECIPE, start=part), finished())


def test_later_stages_of_a_stopped_run_do_not_count() -> None:
    """After a change that was followed only to ``assign``, everything from ``refine`` on is stale."""
    recipe = RECIPE.with_values(CHANGES["assign"][0])
    ran = stemdisp.steps(image(), recipe, start=finished())
    part = next(analysis for name, analysis in ran if name == "assign")
    assert stemdisp.stale(image(), recipe, part) == tuple(ORDER[ORDER.index("refine") :])
    _assert_same(stemdisp.analyse(image(), recipe, start=part), stemdisp.analyse(image(), recipe))


@pytest.mark.parametrize("stage", ["find", "assign", "refine"])
def test_a_listener_stops_a_run_in_the_middle(stage: str) -> None:
    """What was known stays known, and the next run gives the numbers that it ever gave."""
    known: list[tuple[str, Analysis]] = []
    beats = [0]

    def stop() -> None:
        beats[0] += 1
        if len(known) == ORDER.index(stage) and beats[0] > 2:
            raise Stopped

    with pytest.raises(Stopped), listening(stop):
        for step in stemdisp.steps(image(), RECIPE):
            known.append(step)
            beats[0] = 0
    assert [name for name, _ in known] == ORDER[: ORDER.index(stage)]
    start = known[-1][1] if known else None
    _assert_same(stemdisp.analyse(image(), RECIPE, start=start), finished())
