"""Peaks: one at every bright column, dark ones in ABF, and plain refusals."""

from __future__ import annotations

import numpy as np
import pytest

import stemdisp
from stemdisp.errors import StageError
from stemdisp.model.micrograph import Signal
from stemdisp.recipe import FindSection
from stemdisp.scene import Dose, Scene, View
from stemdisp.stages.find import Preview, find
from stemdisp.synthetic import simulate


@pytest.fixture(scope="module")
def pair():
    return simulate(Scene(signals=("HAADF", "ABF"), view=View(shape=(160, 180)), dose=Dose(peak_counts=2000)))


@pytest.mark.parametrize("name", ["HAADF", "ABF"])
def test_every_bright_column_has_a_peak(pair, name) -> None:
    micrograph, truth = pair
    peaks = find(micrograph.signals[name], FindSection())
    inner = ((truth.xy > 10) & (truth.xy < [169, 149])).all(axis=1) & (truth.site == "Ta")
    away = np.linalg.norm(truth.xy[inner, None] - peaks.xy, axis=2).min(axis=1)
    assert away.max() < 1
    assert (np.sign(peaks.amplitude) == micrograph.signals[name].contrast).all()
    assert (peaks.site == -1).all() and peaks.signals == (name,)


def test_threshold_and_separation_bite(pair) -> None:
    signal = pair[0].signals["ABF"]
    usual, strict = (len(find(signal, FindSection(threshold=t))) for t in (0.05, 0.9))
    assert strict < usual
    assert len(find(signal, FindSection(separation=45))) < strict


def test_a_constant_image_is_refused() -> None:
    with pytest.raises(StageError, match="same value"):
        find(Signal("HAADF", np.full((64, 64), 7, dtype=np.uint16)), FindSection())


def test_an_image_that_does_not_repeat_is_refused() -> None:
    with pytest.raises(StageError, match="repeats"):
        find(Signal("HAADF", np.add.outer(np.arange(64.0), np.arange(64.0))), FindSection())


@pytest.mark.parametrize("name", ["HAADF", "ABF"])
def test_a_preview_is_what_will_be_found(pair, name) -> None:
    preview = Preview(pair[0].signals[name])
    for recipe in (FindSection(), FindSection(threshold=0.6), FindSection(separation=12.0), FindSection()):
        shown, found = preview.peaks(recipe), find(pair[0].signals[name], recipe)
        np.testing.assert_array_equal(shown.xy, found.xy)
        np.testing.assert_array_equal(shown.amplitude, found.amplitude)


def test_a_window_of_a_preview_is_a_part_of_the_whole(pair) -> None:
    recipe = stemdisp.recipe_for("KTaO3", "1-10")
    whole, part = stemdisp.preview(pair[0], recipe), stemdisp.preview(pair[0], recipe, (40, 30, 120, 90))
    inside = ((whole.xy >= [40, 30]) & (whole.xy <= [120, 90])).all(axis=1)
    np.testing.assert_array_equal(part.xy, whole.xy[inside])
    assert 0 < len(part) < len(whole)
