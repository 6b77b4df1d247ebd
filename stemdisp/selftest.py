"""Images whose truth is known, analysed on this machine: a verdict on each promise that can be tried anywhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .doctor import devices, trial_image
from .fitting.window import fit_columns, round_starts
from .io.store import load, save
from .model.analysis import Analysis
from .motion import Motion
from .pipeline import analyse
from .recipe import for_material
from .scene import Dose, Edge, Look, Scene, Truth, View
from .synthetic import simulate

Floats = NDArray[np.float64]

SLOPE, BIAS_PM, ERRORS = 0.01, 0.5, 3.0
"""By how much the slope of measured against true displacement, and their mean difference (pm), may be off, beside three
errors of a mean over so few cells."""

PULLS = (0.6, 1.5)
"""Bounds of the variance of error / stated error of so few cells."""

ENGINES_PX = 1e-6
"""By how much two engines may differ (px); the arithmetic is the same, the order of sums is not."""

LAYERS = 4.0
"""Errors by which the mean of a layer may be off."""

NEAR_PX = 8.0
"""A cell and a true one closer than this are one: a third of the distance of two cells."""


@dataclass(frozen=True)
class Verdict:
    """What was tried, what was found, what was wanted, and whether that is so."""

    what: str
    found: str
    wanted: str
    good: bool


def _scene(zone: tuple[int, int, int], motion: Motion, edge: Edge | None = None) -> Scene:
    scene = Scene(
        zone=zone,
        signals=("HAADF",),
        view=View(pixel_size_pm=(12.0, 12.0), shape=(384, 384)),
        look=Look(tail=0.1),
        dose=Dose(peak_counts=500.0, dtype="uint16"),
        motion=motion,
        edge=edge,
        seed=1,
    )
    return scene.facing(90.0) if edge else scene


@dataclass(frozen=True)
class _Cells:
    """Measured and true displacement (n, 2) in pm of cells that both have, the stated error, and the cells' rows."""

    measured: Floats
    true: Floats
    std: Floats
    row: NDArray[np.int64]


def _cells(analysis: Analysis, truth: Truth) -> _Cells:
    from scipy.spatial import cKDTree

    field = analysis.displacement
    assert field is not None
    rows, true = truth.cells("HAADF")
    valid = np.flatnonzero(field.valid & np.isfinite(field.xy).all(axis=1))
    distance, near = map(np.asarray, cKDTree(truth.xy[rows]).query(field.xy[valid]))
    both = distance < NEAR_PX
    std = np.sqrt(np.diagonal(field.cov[valid], axis1=1, axis2=2))
    return _Cells(field.uv[valid][both], true[near[both]], std[both], valid[both])


def _displacements() -> Iterator[Verdict]:
    """Random displacements in both zones: slope, bias, honesty of the errors."""
    for name, zone in (("001", (0, 0, 1)), ("1-10", (1, -1, 0))):
        image, truth = simulate(_scene(zone, Motion(uniform_pm=(12.0, -6.0), jitter_pm=10.0)))
        found = _cells(analyse(image, for_material("KTaO3", name), device="cpu"), truth)
        varied = found.true - found.true.mean(axis=0)
        slope = float(np.sum(found.measured * varied) / np.sum(varied**2))
        slope_std = float(np.sqrt(np.sum((found.std * varied) ** 2)) / np.sum(varied**2))
        off = found.measured - found.true
        bias, bias_std = float(np.abs(off.mean(axis=0)).max()), float(found.std.mean() / np.sqrt(len(off)))
        pulls = float(np.mean((off / found.std) ** 2))
        what = f"KTaO3 [{name}], {len(off)} cells"
        most = SLOPE + ERRORS * slope_std
        yield Verdict(f"{what}: slope", f"{slope:.3f}", f"1 +- {most:.3f}", abs(slope - 1) < most)
        most = BIAS_PM + ERRORS * bias_std
        yield Verdict(f"{what}: mean error", f"{bias:.2f} pm", f"less than {most:.2f} pm", bias < most)
        wanted = f"{PULLS[0]:g} to {PULLS[1]:g}"
        yield Verdict(f"{what}: (error / stated)²", f"{pulls:.2f}", wanted, PULLS[0] < pulls < PULLS[1])


def _interface() -> Iterator[Verdict]:
    """Layers below an amorphous film, the same twice, and the same from the disk."""
    edge = Edge(plane=(1, 1, 1), offset_A=10.0, beyond="amorphous")
    image, truth = simulate(_scene((1, -1, 0), Motion(normal_pm=8.0, parallel_pm=24.0, decay_layers=1.5), edge))
    recipe = for_material("KTaO3", "1-10")
    analysis = analyse(image, recipe, device="cpu")
    profile, interface, field = analysis.profile, analysis.interface, analysis.displacement
    if profile is None or interface is None or field is None:
        yield Verdict("interface to an amorphous film", "not found", "found", False)
        return
    found = _cells(analysis, truth)
    bulk = field.offset_cells[found.row]
    off = found.measured - (found.true - found.true[bulk].mean(axis=0) if bulk.any() else found.true)
    layer = interface.layer[found.row]
    sem = dict(zip(profile.layer.tolist(), profile.parallel_sem_pm.tolist(), strict=True))
    worst = max(
        np.abs(off[layer == n].mean(axis=0)).max() / one for n, one in sem.items() if one > 0 and (layer == n).any()
    )
    yield Verdict(
        f"{len(sem)} layers at an interface", f"{worst:.1f} errors off", f"less than {LAYERS:g}", worst < LAYERS
    )
    again = analyse(image, recipe, device="cpu")
    yield Verdict("the same image again", *_equal(analysis, again))
    with tempfile.TemporaryDirectory() as folder:
        yield Verdict("saved and read back", *_equal(analysis, load(save(analysis, Path(folder) / "result"))))


def _equal(one: Analysis, other: Analysis) -> tuple[str, str, bool]:
    pairs = [(one.columns, other.columns), (one.displacement, other.displacement)]
    arrays = [(a.xy, b.xy) for a, b in pairs if a is not None and b is not None]
    same = len(arrays) == len(pairs) and all(np.array_equal(a, b, equal_nan=True) for a, b in arrays)
    return ("equal" if same else "different"), "equal, bit for bit", same


def _engines() -> Iterator[Verdict]:
    """Every engine that computes here against the plain arrays."""
    found, missing = devices()
    pixels, xy = trial_image()
    starts = round_starts(np.round(xy), 2.1, 3.0)
    results = [fit_columns(pixels, starts, device=device) for device in found]
    oracle = next(one for one, device in zip(results, found, strict=True) if not device.compiled)
    for one, device in zip(results, found, strict=True):
        if one is not oracle:
            off = float(np.nanmax(np.abs(one.xy - oracle.xy)))
            yield Verdict(
                f"{one.engine} on {device.name} against arrays", f"{off:.1e} px", f"{ENGINES_PX:g} px", off < ENGINES_PX
            )
    if missing:
        yield Verdict("GPU", "none", "none needed", True)


def verdicts() -> Iterator[Verdict]:
    """One verdict after the other, as they are found."""
    yield from _engines()
    yield from _displacements()
    yield from _interface()
