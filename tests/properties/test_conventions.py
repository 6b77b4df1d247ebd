"""What signs and angles mean: x right, y down, angles counter-clockwise as seen, normals outwards."""

from __future__ import annotations

import numpy as np
import pytest
from measure import displacements, known
from scenes import recipe

import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Edge, Scene, View
from stemdisp.synthetic import simulate

VIEW = View(shape=(240, 300), pixel_size_pm=(14.0, 14.0))
CLEAN = Dose(noise=False)


@pytest.mark.parametrize(
    ("right", "down", "angle"), [(15, 0, 0), (0, -15, 90), (-15, 0, 180), (0, 15, -90), (10, -10, 45), (10, 10, -45)]
)
def test_directions_on_the_screen(right: float, down: float, angle: float) -> None:
    """A K moved right has dx > 0 and angle 0; moved up it has dy < 0 and angle 90."""
    scene = Scene(zone=(0, 0, 1), view=VIEW, dose=CLEAN, motion=Motion(uniform_pm=(right, down)))
    field = stemdisp.analyse(simulate(scene)[0], recipe(scene)).displacement
    assert field is not None
    mean = field.uv[field.valid].mean(axis=0)
    np.testing.assert_allclose(mean, (right, down), atol=1)
    away = (field.angle_deg[field.valid] - angle + 180) % 360 - 180
    assert np.abs(away).max() < 10
    assert (field.angle_deg[field.valid] > -180).all() and (field.angle_deg[field.valid] <= 180).all()


def _below_an_edge(direction: float) -> Analysis:
    scene = Scene(
        view=VIEW,
        dose=CLEAN,
        edge=Edge(offset_A=6.0, beyond="vacuum"),
        motion=Motion(normal_pm=8, parallel_pm=20, decay_layers=2.0),
    ).facing(direction)
    return stemdisp.analyse(simulate(scene)[0], recipe(scene))


@pytest.mark.parametrize(
    ("direction", "normal", "parallel"),
    [(90, (0, -1), (1, 0)), (0, (1, 0), (0, 1)), (270, (0, 1), (-1, 0)), (180, (-1, 0), (0, -1))],
)
def test_normal_points_out_and_parallel_is_clockwise_of_it(
    direction: float, normal: tuple[float, float], parallel: tuple[float, float]
) -> None:
    """Normal up: parallel right; and so on around."""
    analysis = _below_an_edge(direction)
    found, profile = analysis.interface, analysis.profile
    assert found is not None and profile is not None
    np.testing.assert_allclose(found.normal, normal, atol=0.02)
    np.testing.assert_allclose(found.parallel, parallel, atol=0.02)
    assert profile.layer[0] == 0
    assert profile.normal_pm[0] > 3 and profile.parallel_pm[0] > 10
    assert (np.diff(profile.distance_nm) > 0).all() and profile.distance_nm[0] > 0


def test_distance_is_zero_at_the_interface_and_grows_into_the_crystal() -> None:
    """Cells lie at positive distances, a layer spacing apart from layer to layer."""
    found = _below_an_edge(90).interface
    assert found is not None
    inside = found.layer >= 0
    assert (found.distance_nm[inside] > 0).all()
    steps = [found.distance_nm[found.layer == n].mean() for n in range(5)]
    np.testing.assert_allclose(np.diff(steps), found.spacing_pm / 1000, atol=0.03)
    assert found.spacing_pm == pytest.approx(398.83 / np.sqrt(3), rel=0.01)


def test_positions_are_x_y_with_whole_pixel_centres() -> None:
    """A column drawn at (x, y) is found at (x, y): not (y, x), nor half a pixel off."""
    scene = Scene(zone=(0, 0, 1), view=VIEW, dose=CLEAN)
    image, truth = simulate(scene)
    columns = stemdisp.analyse(image, recipe(scene)).columns
    assert columns is not None
    ta = columns.xy[columns.of_site("Ta") & columns.usable]
    rows = truth.nearest(ta, within_px=1)
    assert (rows >= 0).all()
    np.testing.assert_allclose(ta, truth.xy[rows], atol=0.02)


def test_displacement_is_moving_minus_reference() -> None:
    """If Ta moved right by 10 pm (all K left behind), K is displaced to the left of Ta's centroid."""
    scene = Scene(view=VIEW, dose=CLEAN, motion=Motion(uniform_pm=(-10, 0)))
    image, truth = simulate(scene)
    cells = displacements(stemdisp.analyse(image, recipe(scene)), known(truth))
    np.testing.assert_allclose(cells.measured.mean(axis=0), (-10, 0), atol=1)
