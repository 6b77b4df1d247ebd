"""The piece of an image beside its model: nothing is left where there is no noise, and noise where there is."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import stemdisp
from stemdisp.errors import StageError
from stemdisp.model.analysis import Analysis
from stemdisp.patch import model_patch
from stemdisp.scene import Dose, Look, Scene, View
from stemdisp.synthetic import simulate

RADIUS_PX = 8.0


@cache
def _analysed(tail: float, *, noise: bool) -> Analysis:
    scene = Scene(
        signals=("HAADF", "ABF"),
        view=View(pixel_size_pm=(20.0, 20.0), shape=(160, 160)),
        look=Look(tail=tail),
        dose=Dose(peak_counts=2000.0, noise=noise),
        seed=3,
    )
    micrograph, _ = simulate(scene)
    return stemdisp.analyse(micrograph, stemdisp.recipe_for("KTaO3", "1-10"))


def _left(analysis: Analysis, site: str) -> list[float]:
    """Root mean square of the residual over the column's amplitude, in windows around the columns of a site."""
    assert analysis.columns
    patches = [model_patch(analysis, int(row), RADIUS_PX) for row in np.flatnonzero(analysis.columns.of_site(site))]
    return [float(np.sqrt(np.mean(one.residual**2)) / abs(one.amplitude)) for one in patches]


@pytest.mark.parametrize("tail", [0.0, 0.12])
@pytest.mark.parametrize("site", ["Ta", "K", "O"])
def test_nothing_is_left_without_noise(tail: float, site: str) -> None:
    left = _left(_analysed(tail, noise=False), site)
    print(f"{site}, tail {tail}: median {np.median(left):.4f}, worst {max(left):.4f} of the amplitude")
    assert max(left) < 0.02


@pytest.mark.parametrize("tail", [0.0, 0.12])
def test_noise_is_left_where_there_is_noise(tail: float) -> None:
    analysis = _analysed(tail, noise=True)
    assert analysis.columns
    for row in np.flatnonzero(analysis.columns.of_site("Ta"))[::5]:
        patch = model_patch(analysis, int(row), RADIUS_PX)
        reduced = float(np.mean(patch.residual**2 / patch.model))  # counts: their variance is what is expected
        assert 0.7 < reduced < 1.3


def test_a_patch_is_the_image_around_its_column() -> None:
    analysis = _analysed(0.0, noise=False)
    assert analysis.columns
    row = int(np.flatnonzero(analysis.columns.of_site("O"))[7])
    patch = model_patch(analysis, row, RADIUS_PX)
    assert patch.signal == "ABF"
    assert patch.amplitude < 0
    (x, y), (ny, nx) = patch.corner, patch.image.shape
    assert np.array_equal(patch.image, analysis.micrograph.signals["ABF"].image[y : y + ny, x : x + nx])
    darkest = np.unravel_index(patch.model.argmin(), patch.model.shape)
    assert patch.image[darkest] < np.median(patch.image)


def test_a_window_over_the_border_is_cut() -> None:
    analysis = _analysed(0.12, noise=False)
    assert analysis.columns
    row = int(analysis.columns.xy[:, 0].argmin())
    patch = model_patch(analysis, row, RADIUS_PX)
    assert patch.corner[0] == 0
    assert patch.image.shape == patch.model.shape == patch.residual.shape
    assert patch.image.shape[1] < 2 * RADIUS_PX


def test_what_cannot_be_shown_is_said() -> None:
    analysis = _analysed(0.0, noise=False)
    assert analysis.columns
    with pytest.raises(StageError, match="no column 100000"):
        model_patch(analysis, 100000, RADIUS_PX)
    with pytest.raises(StageError, match="not been refined yet"):
        model_patch(analysis.having(by_signal={}), 0, RADIUS_PX)
