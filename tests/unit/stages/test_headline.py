"""What stands out: the strongest layer or all cells, its direction by name, and the range between the models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.crystal import project
from stemdisp.materials import KTaO3
from stemdisp.model.dilution import Dilution
from stemdisp.model.fields import VectorField
from stemdisp.model.lattice import Lattice
from stemdisp.model.micrograph import PixelSize
from stemdisp.stages.headline import headline

MOTIF = project(KTaO3, (1, -1, 0))
SIZE = PixelSize(10.0, 20.0, "user")


def lattice(turn_deg: float = 0.0, mirrored: bool = False) -> Lattice:
    """The lattice of a turned (counter-clockwise as seen) or mirrored crystal, on pixels that are not square."""
    t = np.radians(turn_deg)
    turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    cell = MOTIF.cell_A @ turn * [1, -1] * ([-1, 1] if mirrored else [1, 1])
    return Lattice(MOTIF, np.zeros(2), *(100 * cell / SIZE.xy_pm))


def vectors(mean: np.ndarray, scatter: float, n: int = 100, seed: int = 0) -> VectorField:
    draw = np.random.default_rng(seed).normal(0, scatter, (n, 2))
    uv = mean + draw - draw.mean(axis=0)
    cov = np.broadcast_to(np.eye(2) * scatter**2, (n, 2, 2))
    return VectorField("pm", np.zeros((n, 2)), uv, cov, significant=np.ones(n, dtype=bool))


def in_the_picture(crystal: Lattice, indices: tuple[int, int, int], length: float) -> np.ndarray:
    """A vector (pm; right, down) along a direction of the crystal."""
    steps = np.vstack([MOTIF.indices, MOTIF.zone]).astype(float)
    along = np.linalg.solve(steps.T, np.array(indices, dtype=float))[:2] @ crystal.cell * SIZE.xy_pm
    return length * along / np.linalg.norm(along)


@pytest.mark.parametrize(("turn", "mirrored"), [(0.0, False), (35.0, False), (180.0, False), (-80.0, True)])
def test_turned_and_mirrored_images_name_the_same_direction(turn, mirrored) -> None:
    crystal = lattice(turn, mirrored)
    moved = vectors(in_the_picture(crystal, (1, 1, 2), 20.0), 5.0)
    found = headline(moved, {}, None, None, crystal, SIZE)
    assert found is not None and found.significant and found.direction is not None
    assert found.where == "all cells" and found.cells == 100
    assert found.direction.indices == (1, 1, 2) and found.direction.normal is None
    assert found.direction.off_deg < 1e-6
    assert found.direction.std_deg == pytest.approx(np.degrees(0.5 / 20), rel=0.2)
    np.testing.assert_allclose(found.mean_pm, moved.uv.mean(axis=0))


def test_the_angle_is_that_between_the_vector_and_the_name() -> None:
    crystal = lattice(12.0)
    t = np.radians(4.0)
    moved = in_the_picture(crystal, (0, 0, 1), 20.0) @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    found = headline(vectors(moved, 2.0), {}, None, None, crystal, SIZE)
    assert found is not None and found.direction is not None
    assert found.direction.indices == (0, 0, 1) and found.direction.off_deg == pytest.approx(4.0, abs=1e-6)


@pytest.mark.parametrize(
    ("mean", "scatter", "why"),
    [(0.1, 5.0, "does not stand above its error"), (3.4, 10.0, "the standard deviation of its direction is 1")],
)
def test_no_name_without_a_direction(mean, scatter, why) -> None:
    found = headline(vectors(np.array([mean, 0.0]), scatter), {}, None, None, lattice(), SIZE)
    assert found is not None and found.direction is None
    assert why in found.no_direction


def test_no_headline_of_too_few_cells() -> None:
    assert headline(vectors(np.ones(2), 1.0, n=2), {}, None, None, lattice(), SIZE) is None


def test_models_leave_a_range_and_its_errors() -> None:
    moved = vectors(np.array([0.0, 20.0]), 5.0)
    models = {
        "moving_site": moved.times(0.3, "uC/cm2", "a"),
        "reference_site": moved.times(-2.0, "uC/cm2", "b"),
        "full": replace(moved.times(1.0, "uC/cm2", "c"), uv=np.full((100, 2), np.nan)),
    }
    found = headline(moved, models, None, Dilution(0.8, 0.08, ""), lattice(), SIZE)
    assert found is not None and found.extremes is not None and found.sign_may_flip
    lowest, highest = found.extremes
    assert (lowest.model, highest.model) == ("reference_site", "moving_site")
    assert lowest.along == pytest.approx(-40) and highest.along == pytest.approx(6)
    sem = float(np.sqrt(found.cov_pm[1, 1]))
    assert sem == pytest.approx(0.5, rel=0.2)
    assert lowest.along_std == pytest.approx(2 * sem)
    assert highest.along_std == pytest.approx(np.hypot(0.3 * sem, 0.1 * 6))
    np.testing.assert_allclose(lowest.vector, [0, -40], atol=1e-9)
    alone = headline(moved, {"moving_site": models["moving_site"]}, None, None, lattice(), SIZE)
    assert alone is not None and not alone.sign_may_flip


def test_with_layers_it_is_the_strongest_with_its_errors(kto) -> None:
    side = kto.sides[0]
    row = side.profile.strongest
    found = headline(kto.displacement, {"kappa": kto.polarization}, side, None, kto.lattice, kto.micrograph.pixel_size)
    assert found is not None and found.layer == side.profile.layer[row] and found.cells == side.profile.n[row]
    axes = np.stack([side.interface.normal, side.interface.parallel])
    mean = axes @ found.mean_pm
    np.testing.assert_allclose(mean, [side.profile.normal_pm[row], side.profile.parallel_pm[row]])
    sem = [side.profile.normal_sem_pm[row], side.profile.parallel_sem_pm[row]]
    np.testing.assert_allclose(np.sqrt(np.diag(axes @ found.cov_pm @ axes.T)), sem)
    estimate = found.estimates[0]
    np.testing.assert_allclose(estimate.vector, 0.36 * found.mean_pm)
    np.testing.assert_allclose(estimate.cov, 0.36**2 * found.cov_pm)
    assert found.direction is not None and found.direction.normal == (1, 1, 1)
    quiet = replace(side, profile=replace(side.profile, significant=np.zeros(len(side.profile))))
    assert headline(kto.displacement, {}, quiet, None, kto.lattice, SIZE).direction is None
    empty = replace(side.profile, magnitude_pm=np.full(len(side.profile), np.nan))
    assert headline(kto.displacement, {}, replace(side, profile=empty), None, kto.lattice, SIZE) is None
