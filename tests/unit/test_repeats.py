"""The frames of a stack, fitted one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stemdisp
from stemdisp.errors import StageError
from stemdisp.io.summary import summary
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal
from stemdisp.report import write_report
from stemdisp.report.content import key_numbers
from stemdisp.scene import Dose, Look, Scan, Scene, View
from stemdisp.synthetic import simulate_frames

RECIPE = stemdisp.recipe_for("KTaO3", "001")


def stack(frames: int = 4, **scan: Any) -> tuple[Analysis, np.ndarray]:
    """The analysis of an average of frames that do not drift, and the frames."""
    scene = Scene(
        zone=(0, 0, 1),
        view=View(shape=(200, 220)),
        look=Look(tail=0.1),
        dose=Dose(peak_counts=200, background_counts=20, frames=frames),
        scan=Scan(**scan),
        seed=4,
    )
    counts = simulate_frames(scene)[0]["HAADF"]
    image = Micrograph("stack", {"HAADF": Signal("HAADF", counts.mean(axis=0))}, PixelSize(10, 10, "file"))
    return stemdisp.analyse(image, RECIPE), counts


@pytest.fixture(scope="module")
def still() -> tuple[Analysis, np.ndarray]:
    return stack()


@pytest.fixture(scope="module")
def fitted(still: tuple[Analysis, np.ndarray]) -> Analysis:
    return stemdisp.frame_precision(still[0], {"HAADF": still[1]})


def test_scatter_is_what_is_stated(fitted: Analysis) -> None:
    found, columns = fitted.frame_precision, fitted.columns
    assert found is not None and columns is not None
    print(found.sentence)
    assert (found.signal, found.frames) == ("HAADF", 4)
    by_name = {one.name: one for one in found.repeats}
    assert set(by_name) == {"K", "Ta", "displacement"}, "oxygen is held near its place"
    for one in by_name.values():
        assert abs(one.ratio - 1) < 4 * one.ratio_std + 0.1
        np.testing.assert_allclose(np.mean(one.empirical_px / one.stated_px), one.ratio, rtol=0.15)
    known = np.isfinite(found.std_px).all(axis=1)
    assert known.sum() == by_name["K"].n + by_name["Ta"].n
    assert not known[columns.of_site("O1") | columns.of_site("O2")].any() and (found.shown[known] >= 2).all()
    assert abs(found.row_correlation) < 0.2 and "off together" not in found.sentence


def test_rows_that_jitter_are_said() -> None:
    analysis, frames = stack(row_jitter_pm=25.0)
    found = stemdisp.frame_precision(analysis, frames).frame_precision
    assert found is not None
    print(found.sentence)
    by_name = {one.name: one for one in found.repeats}
    assert by_name["Ta"].ratio > 1.5
    assert found.row_correlation > 0.2 and "off together" in found.sentence


def test_it_is_kept_said_and_forgotten(fitted: Analysis, tmp_path: Path) -> None:
    stemdisp.save(fitted, tmp_path / "result")
    back, found = stemdisp.load(tmp_path / "result").frame_precision, fitted.frame_precision
    assert back is not None and found is not None
    np.testing.assert_array_equal(back.std_px, found.std_px)
    assert back.sentence == found.sentence
    said = summary(fitted)["frame_precision"]
    assert said["repeats"]["Ta"]["ratio"] == found.repeats[1].ratio and said["frames"] == 4
    rows = dict(key_numbers(fitted))
    assert "±" in rows["Scatter of Ta between 4 frames over the stated error"]
    page = write_report(fitted, [], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "fitted one by one, the 4 frames of HAADF scatter" in page
    later = RECIPE.with_values({"displacement": {"reference": "none"}})
    assert stemdisp.analyse(fitted.micrograph, later, fitted).frame_precision is found
    fit = RECIPE.with_values({"refine": {"profile": "gaussian"}})
    again = stemdisp.analyse(fitted.micrograph, fit, fitted)
    assert again.frame_precision is None, "another fit has other errors"
    assert summary(again)["frame_precision"] is None
    assert not any("Scatter" in name for name in dict(key_numbers(again)))


def test_frames_that_were_left_out_are_not_fitted(still: tuple[Analysis, np.ndarray], fitted: Analysis) -> None:
    analysis, frames = still
    shifts = np.zeros((5, 2))
    shifts[2] = np.nan
    image = analysis.micrograph
    told = analysis.having(
        micrograph=Micrograph(image.name, image.signals, image.pixel_size, frames=4, frame_shifts_px=shifts)
    )
    found = stemdisp.frame_precision(told, np.insert(frames, 2, 0, axis=0)).frame_precision
    assert found is not None and fitted.frame_precision is not None
    np.testing.assert_array_equal(found.std_px, fitted.frame_precision.std_px)


def test_parts_that_a_frame_does_not_see(still: tuple[Analysis, np.ndarray]) -> None:
    analysis, frames = still
    part = frames.astype(float)
    part[0, :, :50] = np.nan
    found = stemdisp.frame_precision(analysis, part).frame_precision
    assert found is not None and analysis.columns is not None
    left = analysis.columns.xy[:, 0] < 45
    assert found.shown[left].max() == 3 and found.shown.max() == 4


def test_what_is_wrong_is_said(still: tuple[Analysis, np.ndarray]) -> None:
    analysis, frames = still
    with pytest.raises(StageError, match="no columns were refined in ABF"):
        stemdisp.frame_precision(analysis, frames, signal="ABF")
    with pytest.raises(StageError, match="no columns were refined in HAADF"):
        stemdisp.frame_precision(Analysis(analysis.micrograph, RECIPE), frames)
    with pytest.raises(StageError, match="no frames of HAADF, only of ABF"):
        stemdisp.frame_precision(analysis, {"ABF": frames})
    with pytest.raises(StageError, match="not on the pixels of the average"):
        stemdisp.frame_precision(analysis, frames[:, 1:])
    with pytest.raises(StageError, match="1 frames tell no scatter"):
        stemdisp.frame_precision(analysis, frames[:1])
    apart = frames.astype(float)
    apart[1, :, 15:] = np.nan
    with pytest.raises(StageError, match=r"frame 2 shows only \d+ of \d+ columns: it hardly overlaps"):
        stemdisp.frame_precision(analysis, apart)
