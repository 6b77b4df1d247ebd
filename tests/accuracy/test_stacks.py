"""Stacks with known drift: shifts, jumps by a period, and what the aligned mean is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from measure import displacements, known, positions, slope

import stemdisp
from stemdisp.fitting.align import drift
from stemdisp.fitting.restack import aligned_mean
from stemdisp.materials import Zone
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Edge, Look, Scan, Scene, Truth, View
from stemdisp.synthetic import simulate_frames

ZONES: dict[str, Zone] = {"1-10": (1, -1, 0), "001": (0, 0, 1)}
EDGES = {"1-10": (1, 1, 1), "001": (1, 0, 0)}
STACK = Path(__file__).resolve().parents[3] / "shared" / "data" / "abf_stack" / "stem_abf_data_imagestack.hspy"

LIMIT_PX = 0.1
"""Largest error of a shift, against the mean of all."""


def scene(zone: str, *, counts: float, frames: int, step_pm: float, seed: int) -> Scene:
    return Scene(
        zone=ZONES[zone],
        view=View(shape=(256, 300)),
        look=Look(tail=0.1),
        dose=Dose(peak_counts=counts, background_counts=counts / 10, frames=frames),
        scan=Scan(drift_pm=step_pm),
        seed=seed,
    )


def errors(shifts: np.ndarray, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Errors (F, 2) px but for whole lattice vectors, and these (F, 2), both against the whole series."""
    off = shifts - truth.drift_px
    cell = np.array([truth.a, truth.b])
    vectors = np.rint(off @ np.linalg.inv(cell))
    rest = off - vectors @ cell
    return rest - rest.mean(axis=0), (vectors - np.median(vectors, axis=0)).astype(int)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("counts", "frames", "step_pm"), [(500, 5, 5), (50, 8, 20), (20, 10, 40), (20, 20, 40), (100, 20, 60)]
)
def test_shifts(zone: str, counts: float, frames: int, step_pm: float) -> None:
    """Perfect crystals that drift by parts of a pixel to a period in all, down to 20 counts at the brightest peak."""
    stacks, truth = simulate_frames(scene(zone, counts=counts, frames=frames, step_pm=step_pm, seed=frames))
    found = drift(stacks["HAADF"].astype(np.float32))
    rest, vectors = errors(found.shifts, truth)
    total = np.linalg.norm(truth.drift_px, axis=1).max()
    print(f"{zone}, {counts} counts, {frames} frames, {total:.1f} px in all: error {np.abs(rest).max():.3f} px at most")
    assert np.abs(rest).max() < LIMIT_PX
    assert not vectors.any() and not found.stray.any()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_two_periods_in_all(zone: str, seed: int) -> None:
    """Steps up to a period: three vacancies in a hundred columns tell which."""
    walk = replace(scene(zone, counts=60, frames=12, step_pm=110, seed=seed), missing=0.03)
    stacks, truth = simulate_frames(walk)
    rest, vectors = errors(drift(stacks["HAADF"].astype(np.float32)).shifts, truth)
    print(f"{zone}, {np.linalg.norm(truth.drift_px, axis=1).max():.1f} px in all: error {np.abs(rest).max():.3f} px")
    assert np.abs(rest).max() < LIMIT_PX and not vectors.any()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("marks", ["vacancies", "heights", "edge"])
def test_planted_jump(zone: str, marks: str) -> None:
    """One frame whose content leaps by a period: what does not repeat tells."""
    base = scene(zone, counts=200, frames=4, step_pm=15, seed=7)
    if marks == "edge":  # across the edge; along it nothing would tell
        base = replace(base, edge=Edge(plane=EDGES[zone])).facing(90)
    elif marks == "heights":
        base = replace(base, look=replace(base.look, amplitude_scatter=0.05))
    else:
        base = replace(base, missing=0.03)
    stacks, truth = simulate_frames(base)
    cell = np.array([truth.a, truth.b])
    periods = [vector for vector in (*cell, cell.sum(axis=0), cell[1] - cell[0]) if abs(vector[1]) > abs(vector[0])]
    leap = np.rint(min(periods, key=np.linalg.norm)).astype(int)
    leap *= np.sign(leap[1])
    start = np.maximum(leap, 0)
    size = np.array([300, 256]) - np.abs(leap)
    frames, expected = [], truth.drift_px.copy()
    for i, frame in enumerate(stacks["HAADF"]):
        x, y = start - (leap if i == 2 else 0)
        frames.append(frame[y : y + size[1], x : x + size[0]].astype(np.float32))
    expected[2] += leap
    found = drift(frames)
    print(f"{zone}, {marks}: {np.abs(found.shifts - expected).max():.3f} px at most")
    assert np.abs(found.shifts - expected).max() < 2 * LIMIT_PX


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_the_mean_is_worth_what_a_still_stack_is(zone: str) -> None:
    """Displacements in the aligned mean: without bias, as sharp as without drift, and as sure as they claim."""
    base = scene(zone, counts=100, frames=8, step_pm=40, seed=3)
    base = replace(base, view=replace(base.view, shape=(360, 400)), motion=Motion(jitter_pm=8))
    recipe = stemdisp.recipe_for("KTaO3", zone)
    found = {}
    for name, step_pm in (("still", 0.0), ("drifting", 40.0)):
        stacks, truth = simulate_frames(replace(base, scan=Scan(drift_pm=step_pm)))
        frames = stacks["HAADF"].astype(np.float32)
        shifts = drift(frames).shifts
        image = aligned_mean(frames, shifts, 0.5) if step_pm else frames.mean(axis=0)
        micrograph = Micrograph("stack", {"HAADF": Signal("HAADF", image)}, PixelSize(10, 10, "file"))
        analysis, facts = stemdisp.analyse(micrograph, recipe), known(truth)
        cells, places = displacements(analysis, facts, 6.0), positions(analysis, facts, "Ta", 6.0)
        found[name] = cells
        print(f"{zone} {name}: rms {cells.rms:.2f} pm, pull {cells.pull_variance:.2f}, slope {slope(cells)}")
        assert np.abs(places.bias).max() < 10 * LIMIT_PX
    assert found["drifting"].rms < 1.25 * found["still"].rms
    assert abs(slope(found["drifting"]).value - slope(found["still"]).value) < 0.06
    assert found["drifting"].pull_variance < 1.6


def test_real_stack() -> None:
    """Five ABF frames of SrTiO3: alignment makes the mean sharper, and one half of them agrees with the other."""
    if not STACK.exists():
        pytest.skip(f"{STACK} is not on this machine")
    aligned, plain = stemdisp.read(STACK), stemdisp.read(STACK, frames="average")
    assert list(aligned.signals) == ["ABF"] and aligned.frames == 5
    assert aligned.frame_shifts_px is not None
    print(aligned.frame_shifts_px.round(2).tolist())
    assert np.linalg.norm(aligned.frame_shifts_px, axis=1).max() < 10
    contrast = [np.nanstd(one.signals["ABF"].image) for one in (aligned, plain)]
    assert contrast[0] > 1.1 * contrast[1]
