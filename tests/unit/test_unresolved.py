"""KTaO3 along [11-2], where HAADF shows K as a shoulder of Ta only: said, never measured."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import stemdisp
from stemdisp.figures.save import save_figures
from stemdisp.flags import Flag
from stemdisp.materials import format_indices
from stemdisp.model.analysis import Analysis
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Look, Scene, Truth, View


@cache
def analysed(zone=(1, 1, -2), signals=("HAADF",), widths_A=(0.55, 0.5)) -> tuple[Analysis, Truth]:
    scene = Scene(
        zone=zone,
        signals=signals,
        view=View(shape=(200, 200), rotation_deg=12.0),
        dose=Dose(peak_counts=3000),
        look=Look(sigma_A=dict(zip(("K", "Ta"), widths_A, strict=True))),
        motion=Motion(uniform_pm=(12.0, -8.0)),
    )
    image, truth = stemdisp.simulate(scene)
    return stemdisp.analyse(image, stemdisp.recipe_for("KTaO3", format_indices(zone))), truth


def unresolved(analysis: Analysis, site: str) -> np.ndarray:
    rows = analysis.columns.of_site(site) & (analysis.columns.flags & int(Flag.EDGE) == 0)
    return analysis.columns.flags[rows] & int(Flag.UNRESOLVED) > 0


def test_a_shoulder_has_no_displacement() -> None:
    found, _ = analysed()
    assert unresolved(found, "K").all() and not unresolved(found, "Ta").any() and not unresolved(found, "O").any()
    assert len(found.displacement.uv) and np.isnan(found.displacement.uv).all()
    assert np.isnan(found.polarization.uv).all()
    warned = [check for check in found.quality.checks if check.warn and "resolved" in check.sentence]
    assert [check.name for check in warned] == ["unresolved_K"]
    assert "K columns are not resolved from their neighbours in HAADF" in warned[0].sentence
    assert "use a sharper image" in warned[0].sentence


def test_it_can_be_saved_drawn_and_read_again(tmp_path) -> None:
    found, _ = analysed()
    stemdisp.save(found, tmp_path / "result")
    again = stemdisp.load(tmp_path / "result")
    np.testing.assert_array_equal(again.columns.flags, found.columns.flags)
    assert "UNRESOLVED" in (tmp_path / "result" / "columns.csv").read_text(encoding="utf-8")
    save_figures(found, tmp_path / "figures")


def test_an_abf_image_that_shows_them_gives_their_places() -> None:
    found, truth = analysed(signals=("HAADF", "ABF"), widths_A=(0.42, 0.45))
    k = found.columns.of_site("K") & found.columns.usable
    assert k.sum() > 50 and not unresolved(found, "K").any()
    assert {found.columns.signals[i] for i in found.columns.signal[k]} == {"ABF"}
    nearest = truth.nearest(found.columns.xy[k])
    assert (truth.site[nearest] == "K").all()
    assert np.sqrt(((found.columns.xy[k] - truth.xy[nearest]) ** 2).mean()) < 0.5
    np.testing.assert_allclose(np.nanmean(found.displacement.uv, axis=0), [12, -8], atol=4)
    warned = [check.sentence for check in found.quality.checks if check.warn and check.name == "unresolved_K"]
    assert len(warned) == 1 and "positions come from ABF" in warned[0]


@pytest.mark.parametrize("zone", [(1, -1, 0), (0, 0, 1)])
@pytest.mark.parametrize("signals", [("HAADF",), ("HAADF", "ABF"), ("ABF",)])
def test_columns_that_stand_apart_are_always_resolved(zone, signals) -> None:
    found, _ = analysed(zone, signals)
    assert (found.columns.flags & int(Flag.UNRESOLVED) == 0).all()
    assert not any("resolved" in check.sentence for check in found.quality.checks)
    assert np.isfinite(found.displacement.uv).any()
