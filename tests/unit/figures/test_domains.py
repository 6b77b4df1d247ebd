"""Walls and vortices on maps: where they are drawn, what is said of them, and nothing where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from stemdisp.figures.composites import compose_displacement, compose_polarization
from stemdisp.figures.domains import draw_domains, note
from stemdisp.figures.polarization import draw_polarization
from stemdisp.figures.vectors import draw_vectors
from stemdisp.model.domains import Domains, Vortex, Wall

POINTS = np.array([[30.0, 40.0], [32.0, 60.0], [31.0, 80.0]])
WALL = Wall(POINTS, POINTS.mean(axis=0), np.array([1.0, 0.0]), 0.021, 0.05, 0.5, 0.1, 6.0)


def vortex(sense, charge: int = 1) -> Vortex:
    return Vortex(np.array([70.0, 50.0]), np.full(2, 1.0), charge, sense)


def found(*vortices: Vortex, walls: tuple[Wall, ...] = (WALL,)) -> Domains:
    return Domains(vortices, walls, np.array([0.0, 1.0]), "by hand")


@pytest.fixture
def ax():
    return Figure(figsize=(6, 5)).subplots()


def test_a_wall_is_a_line_through_its_rows_with_a_bar_at_its_mean(ax, kto) -> None:
    line, bar, label = draw_domains(ax, kto.micrograph, found(), 20.0)
    np.testing.assert_array_equal(line.get_xydata(), POINTS)
    np.testing.assert_allclose(bar.get_xydata().mean(axis=0), POINTS.mean(axis=0))
    assert np.ptp(bar.get_xydata()[:, 1]) == 0 and label.get_text() == "W1"
    assert "W1 ±0.021 nm" in note(found())


@pytest.mark.parametrize(
    ("sense", "forwards"),
    [("clockwise", (0, 1)), ("counter-clockwise", (0, -1)), ("outwards", (1, 0)), ("inwards", (-1, 0))],
)
def test_the_heads_of_a_ring_point_along_the_field(ax, kto, sense, forwards) -> None:
    ring, head, other, label = draw_domains(ax, kto.micrograph, found(vortex(sense), walls=()), 20.0)
    place = np.array([70.0, 50.0])
    np.testing.assert_allclose(np.linalg.norm(ring.get_xydata() - place, axis=1), 15.0)
    # The right-hand head: its tip lies ahead of its wings.
    wings = head.get_xydata()[[0, 2]].mean(axis=0)
    np.testing.assert_allclose((head.get_xydata()[1] - wings) / 7.5, forwards, atol=1e-9)
    assert (head.get_xydata()[:, 0].mean() > 70) and (other.get_xydata()[:, 0].mean() < 70)
    assert label.get_text() == "+1"


def test_an_antivortex_is_a_crossed_ring(ax, kto) -> None:
    *strokes, label = draw_domains(ax, kto.micrograph, found(vortex("none", -1), walls=()), 20.0)
    assert len(strokes) == 3 and label.get_text() == "−1"


def test_maps_name_their_units_and_marks(kto) -> None:
    """The wheel of displacements is in pm, that of polarization in uC/cm2, with or without walls."""
    for field, draw, unit in ((kto.displacement, draw_vectors, "pm"), (kto.polarization, draw_polarization, "µC/cm²")):
        for domains in (None, found(walls=()), found(vortex("clockwise"))):
            ax = Figure(figsize=(6, 5)).subplots()
            drawn = draw(ax, kto.micrograph, field, domains=domains)
            rim = drawn.wheel[-1].get_text()
            assert rim.startswith("rim ") and rim.endswith(f" {unit}")
            said = "".join(text.get_text() for text in ax.texts)
            assert ("domain walls" in said) == ("rings" in said) == bool(domains)


def test_polarization_that_points_the_other_way_winds_the_other_way(kto) -> None:
    seen = kto.having(domains=found(vortex("clockwise")))
    (own,) = seen.domains_of_polarization.vortices
    assert own.sense == "clockwise"
    against = seen.having(polarization=seen.displacement.times(-4.8, "uC/cm2", "kappa"))
    (other,) = against.domains_of_polarization.vortices
    assert other.sense == "counter-clockwise"
    recipe = kto.recipe.model_copy(
        update={"polarization": kto.recipe.polarization.model_copy(update={"model": "full"})}
    )
    assert seen.having(recipe=recipe).domains_of_polarization is None
    for compose in (compose_displacement, compose_polarization):
        assert "W1" in [text.get_text() for text in compose(against).axes[0].texts]
        assert "W1" not in [text.get_text() for text in compose(kto).axes[0].texts]
