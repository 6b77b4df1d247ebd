"""What frames are worth: the error of an average falls as the root of their number, and their scatter is its error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

import stemdisp
from stemdisp.scene import Dose, Look, Scan, Scene, Truth, View
from stemdisp.synthetic import simulate_frames

STACK = Path(__file__).resolve().parents[3] / "shared" / "data" / "abf_stack" / "stem_abf_data_imagestack.hspy"

NUMBERS, SEEDS = (1, 3, 10), (1, 2, 3)
WITHIN = 0.2
"""Departure from the root of the number of frames, at most."""


def drifting(seed: int) -> tuple[np.ndarray, Truth]:
    """Ten frames (F, ny, nx) that drift by 1.5 px a frame, and the truth of the first."""
    scene = Scene(
        zone=(0, 0, 1),
        view=View(shape=(260, 280)),
        look=Look(tail=0.1),
        dose=Dose(peak_counts=100, background_counts=10, frames=10),
        scan=Scan(drift_pm=15),
        seed=seed,
    )
    stacks, truth = simulate_frames(scene)
    return stacks["HAADF"], truth


def averaged(frames: np.ndarray, folder: Path) -> tuple[stemdisp.Analysis, dict[str, object]]:
    """The analysis of frames as a file of them gives it, and the frames on its pixels."""
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(folder / "HAADF.tif", frames.astype(np.uint16), photometric="minisblack")
    image, aligned = stemdisp.read_frames(folder / "HAADF.tif", pixel_size=10)
    return stemdisp.analyse(image, stemdisp.recipe_for("KTaO3", "001")), dict(aligned)


def square_errors(analysis: stemdisp.Analysis, truth: Truth) -> np.ndarray:
    """(n, 2) squared errors of the displacements in pm^2."""
    shifts = analysis.micrograph.frame_shifts_px
    assert analysis.displacement is not None and analysis.cells is not None and analysis.columns is not None
    rows, true_pm = truth.cells()
    valid = analysis.displacement.valid
    places = analysis.columns.xy[analysis.cells.moving[valid]] + (0 if shifts is None else shifts[0])
    distance, near = cKDTree(truth.xy[rows]).query(places)
    inside = distance < 6  # of columns at the border the first frame may not show all neighbours
    assert inside.mean() > 0.8
    return np.asarray((analysis.displacement.uv[valid] - true_pm[near])[inside] ** 2)


def test_errors_fall_as_the_root_of_the_number_of_frames(tmp_path: Path) -> None:
    """Drifting frames, aligned and averaged; the scatter between them is the error that is stated."""
    squares: dict[int, list[np.ndarray]] = {n: [] for n in NUMBERS}
    for seed in SEEDS:
        frames, truth = drifting(seed)
        for n in NUMBERS:
            analysis, aligned = averaged(frames[:n], tmp_path)
            squares[n].append(square_errors(analysis, truth))
    found = stemdisp.frame_precision(analysis, aligned).frame_precision
    assert found is not None and found.frames == max(NUMBERS)
    print(found.sentence)
    rms = {n: float(np.sqrt(np.concatenate(found).mean())) for n, found in squares.items()}
    scaled = {n: rms[n] * np.sqrt(n) / rms[1] for n in NUMBERS}
    print({n: f"{value:.2f} pm rms, times the root of n {scaled[n]:.2f}" for n, value in rms.items()})
    for n in NUMBERS:
        assert abs(scaled[n] - 1) < WITHIN
    assert abs(found.row_correlation) < 0.2
    for one in found.repeats:
        assert abs(one.ratio - 1) < 0.25


@pytest.mark.slow
def test_real_stack() -> None:
    """Five ABF frames of SrTiO3: the scan moves whole rows of each frame, so that columns scatter by two to four times
    what the noise of pixels states; of displacements, differences of neighbours, it leaves much less."""
    if not STACK.exists():
        pytest.skip(f"{STACK} is not on this machine")
    image, frames = stemdisp.read_frames(STACK)
    analysis = stemdisp.analyse(image, stemdisp.recipe_for("SrTiO3", "1-10"))
    found = stemdisp.frame_precision(analysis, frames).frame_precision
    assert found is not None
    print(found.sentence)
    ratios = {one.name: one.ratio for one in found.repeats}
    assert found.row_correlation > 0.4
    assert 1.2 < ratios["displacement"] < 1.8 < min(ratios[name] for name in ("Sr", "Ti", "O"))
