"""Layer statistics by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.directions import rayleigh
from stemdisp.model.dilution import Dilution
from stemdisp.model.fields import VectorField
from stemdisp.model.interface import Interface
from stemdisp.model.maps import NAMES, Maps
from stemdisp.recipe import LayersSection
from stemdisp.stages.layers import layers

UV = np.array([[1.0, -2], [3, -2], [2, -5], [7, 0], [9, 0], [np.nan, np.nan], [1, 1], [50, 50]])
LAYER = np.array([0, 0, 0, 1, 1, 0, -1, 2])


def built(uv: np.ndarray = UV, layer: np.ndarray = LAYER, flags: np.ndarray | None = None):
    n = len(uv)
    field = VectorField("pm", np.zeros((n, 2)), uv, np.broadcast_to(np.eye(2), (n, 2, 2)))
    edge = Interface(np.zeros(2), np.array([0.0, -1.0]), (1, 1, 1), 230.0, layer, 0.1 + 0.23 * layer, 0.01, "automatic")
    return field, edge


def test_mean_scatter_and_error() -> None:
    field, edge = built()
    found = layers(field, None, edge, None, None, LayersSection(minimum_cells=2))
    np.testing.assert_array_equal(found.layer, [0, 1, 2])
    np.testing.assert_array_equal(found.n, [3, 2, 1])
    # The normal points up, where y is negative; parallel is it turned clockwise: right.
    np.testing.assert_allclose(found.normal_pm[:2], [3.0, 0.0])
    np.testing.assert_allclose(found.parallel_pm[:2], [2.0, 8.0])
    np.testing.assert_allclose(found.normal_sd_pm[0], np.sqrt(3))
    np.testing.assert_allclose(found.normal_sem_pm[0], 1.0)
    np.testing.assert_allclose(found.parallel_sd_pm[:2], [1.0, np.sqrt(2)])
    np.testing.assert_allclose(found.parallel_sem_pm[:2], [1 / np.sqrt(3), 1.0])
    np.testing.assert_allclose(found.magnitude_pm[:2], [np.hypot(2, 3), 8.0])
    np.testing.assert_allclose(found.distance_nm, [0.1, 0.33, 0.56])
    assert np.isnan(found.normal_pm[2]) and np.isnan(found.p_value[2])


def test_minimum_cells_bites() -> None:
    field, edge = built()
    found = layers(field, None, edge, None, None, LayersSection(minimum_cells=3))
    np.testing.assert_array_equal(found.n, [3, 2, 1])
    np.testing.assert_array_equal(np.isfinite(found.parallel_pm), [True, False, False])


def test_polarization_is_the_length_of_the_mean() -> None:
    field, edge = built()
    charge = VectorField("uC/cm2", field.xy, field.uv * 0.3, field.cov * 0.09)
    found = layers(field, charge, edge, None, None, LayersSection(minimum_cells=2))
    np.testing.assert_allclose(found.polarization_uC_cm2[:2], 0.3 * found.magnitude_pm[:2])
    assert np.isnan(layers(field, None, edge, None, None, LayersSection()).polarization_uC_cm2).all()


def test_coherence_ignores_lengths() -> None:
    uv = np.array([[1.0, 0], [100, 0], [0, 2], [0, 0]])
    field, edge = built(uv, np.zeros(4, dtype=np.int64))
    found = layers(field, None, edge, None, None, LayersSection())
    assert found.coherence[0] == pytest.approx(np.hypot(2, 1) / 3)
    assert found.p_value[0] == rayleigh(found.coherence[0], 3)


def test_rayleigh_at_its_ends() -> None:
    assert rayleigh(0.0, 20) == 1
    assert rayleigh(1.0, 100) < 1e-30
    # exp(-3.2) (1 + (6.4 - 10.24) / 80)
    assert rayleigh(0.4, 20) == pytest.approx(0.0388056, rel=1e-5)


def test_rayleigh_is_uniform_where_directions_are() -> None:
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, (4000, 12))
    levels = [rayleigh(r, 12) for r in np.hypot(np.cos(angle).mean(axis=1), np.sin(angle).mean(axis=1))]
    for p in (0.01, 0.05, 0.5):
        assert np.mean(np.array(levels) <= p) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 4000))


def test_strain_of_a_layer_is_the_mean_of_its_cells() -> None:
    field, edge = built()
    nothing = np.full(len(UV), np.nan)
    strain = np.array([1.0, 2.0, 3.0, 5.0, np.nan, 2.0, 9.0, 9.0])
    known = dict.fromkeys(NAMES, nothing) | {"e_normal_percent": strain, "e_parallel_percent": -strain}
    given = Maps(**known, bulk=np.ones(len(UV), dtype=bool))
    found = layers(field, None, edge, None, None, LayersSection(minimum_cells=2), maps=given)
    # A cell without a displacement has a strain all the same.
    np.testing.assert_allclose(found.strain_normal_percent, [2.0, np.nan, np.nan])
    np.testing.assert_allclose(found.strain_parallel_percent, [-2.0, np.nan, np.nan])
    np.testing.assert_allclose(found.strain_normal_sem_percent, [strain[[0, 1, 2, 5]].std(ddof=1) / 2, np.nan, np.nan])
    without = layers(field, None, edge, None, None, LayersSection(minimum_cells=2))
    assert np.isnan(without.strain_normal_percent).all() and len(without.strain_normal_percent) == 3


def test_no_cell_in_any_layer() -> None:
    field, edge = built(UV[:3], np.full(3, -1))
    assert len(layers(field, None, edge, None, None, LayersSection())) == 0


def random_field(seed: int, shift: tuple[float, float], *, together: float = 0.0, count: int = 12, cells: int = 16):
    """Cells in rows, 3 pm of scatter, the first layer shifted; neighbours share the part ``together`` of their
    variance."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 3, (count, cells + 1, 2))
    own = np.sqrt(1 - together) * noise[:, 1:] if together == 0 else (noise[:, 1:] + noise[:, :-1]) / np.sqrt(2)
    own[0] += shift
    layer = np.repeat(np.arange(count), cells)
    field, edge = built(own.reshape(-1, 2), layer)
    place = np.stack([np.tile(np.arange(cells) * 20.0, count), 16.0 * layer], axis=1)
    return VectorField("pm", place, field.uv, field.cov), edge


def test_layers_without_a_displacement_are_rarely_called_displaced() -> None:
    """1200 layers, nothing in them: hardly any image names one."""
    named = [
        (layers(*random_field_of(seed, (0.0, 0.0)), LayersSection()).significant == 1).sum() for seed in range(100)
    ]
    assert np.count_nonzero(named) <= 11
    assert sum(named) <= 0.05 * 1200


def random_field_of(seed: int, shift: tuple[float, float], **options: float):
    field, edge = random_field(seed, shift, **options)
    return field, None, edge, None, None


def test_displacements_of_four_standard_errors_are_found() -> None:
    """Of 95 % of the seeds (95.1 by theory), in whatever direction; the next layer only after the first."""
    size, found = 4 * 3 / np.sqrt(16), []
    for seed in range(200):
        shift = size * np.array([np.cos(seed), np.sin(seed)])
        field, edge = random_field(seed, shift)
        field.uv[16:32] += shift
        found.append(layers(field, None, edge, None, None, LayersSection()).significant[:2] == 1)
    print(np.mean(found, axis=0))
    assert (np.mean(found, axis=0) > [0.92, 0.86]).all()


def test_a_layer_on_its_own_has_to_stand_out() -> None:
    field, edge = random_field(4, (0.0, 0.0))
    field.uv[16 * 6 : 16 * 7] += (0.0, 9.0)
    np.testing.assert_array_equal(
        np.flatnonzero(layers(field, None, edge, None, None, LayersSection()).significant == 1), [6]
    )


@pytest.mark.parametrize("together", [0.0, 0.5])
def test_standard_errors_cover(together) -> None:
    """68 % of means lie within one standard error of the truth, whether neighbours err together or not."""
    inside = []
    for seed in range(100):
        found = layers(*random_field_of(seed, (0.0, 0.0), together=together), LayersSection())
        inside += [np.abs(found.normal_pm) < found.normal_sem_pm, np.abs(found.parallel_pm) < found.parallel_sem_pm]
    print(f"{np.mean(inside):.3f}")
    assert 0.64 < np.mean(inside) < 0.72


def test_the_reference_adds_its_error() -> None:
    field, edge = random_field(1, (5.0, 0.0))
    with_reference = VectorField("pm", field.xy, field.uv, field.cov, np.zeros(2), np.array([2.0, 1.0]))
    alone = layers(field, None, edge, None, None, LayersSection())
    found = layers(with_reference, None, edge, None, None, LayersSection())
    np.testing.assert_allclose(found.parallel_sem_pm, np.hypot(alone.parallel_sem_pm, 2.0))
    np.testing.assert_allclose(found.normal_sem_pm, np.hypot(alone.normal_sem_pm, 1.0))
    assert (found.shift_p_value > alone.shift_p_value).all()


def test_the_bootstrap_of_a_length_is_that_of_its_component() -> None:
    """A long mean vector: its length errs as the component along it."""
    field, edge = random_field(2, (60.0, 0.0), cells=60)
    found = layers(field, None, edge, None, None, LayersSection())
    assert found.magnitude_sem_pm[0] == pytest.approx(found.parallel_sem_pm[0], rel=0.15)


def test_atoms_move_more_than_their_columns() -> None:
    field, edge = random_field(3, (20.0, 0.0))
    found = layers(field, None, edge, None, Dilution(0.8, 0.04, "mixed"), LayersSection())
    np.testing.assert_allclose(found.atom_parallel_pm, found.parallel_pm / 0.8)
    expected = np.hypot(found.parallel_sem_pm / 0.8, 0.05 * found.atom_parallel_pm)
    np.testing.assert_allclose(found.atom_parallel_sem_pm, expected)
    assert np.isnan(layers(field, None, edge, None, None, LayersSection()).atom_normal_pm).all()


def test_components_of_the_polarization_have_the_errors_of_their_own_cells() -> None:
    field, edge = random_field(4, (20.0, 0.0))
    charge = field.times(-0.3, "uC/cm2", "by one factor")
    found = layers(field, charge, edge, None, None, LayersSection())
    np.testing.assert_allclose(found.p_normal_uC_cm2, -0.3 * found.normal_pm)
    np.testing.assert_allclose(found.p_parallel_uC_cm2, -0.3 * found.parallel_pm)
    np.testing.assert_allclose(found.p_normal_sem_uC_cm2, 0.3 * found.normal_sem_pm)
    np.testing.assert_allclose(found.p_parallel_sem_uC_cm2, 0.3 * found.parallel_sem_pm)
    assert np.isnan(layers(field, None, edge, None, None, LayersSection()).p_normal_sem_uC_cm2).all()


def test_cells_without_polarization_are_not_in_its_mean() -> None:
    field, edge = built()
    uv = field.uv * 0.3
    uv[2] = np.nan
    charge = VectorField("uC/cm2", field.xy, uv, field.cov * 0.09)
    found = layers(field, charge, edge, None, None, LayersSection(minimum_cells=2))
    np.testing.assert_allclose(found.p_parallel_uC_cm2[:2], [0.6, 2.4])
    np.testing.assert_allclose(found.polarization_uC_cm2[:2], [0.3 * np.hypot(2, 2), 2.4])
    assert found.n[0] == 3 and np.isnan(found.p_parallel_uC_cm2[2])
