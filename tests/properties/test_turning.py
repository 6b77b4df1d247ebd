"""Turning or mirroring an image turns or mirrors all that is measured, with the recipe as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import stemdisp
from stemdisp.materials import Zone
from stemdisp.model.analysis import Analysis
from stemdisp.model.columns import Columns
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal
from stemdisp.scene import SignalName

Floats = NDArray[np.float64]

TOLERANCE_PX = 1e-6
"""No step knows left from right or up from down; only the order of sums differs."""

SAME_ANGLE_DEG = 1e-3
"""The long axis of a nearly round column is known less well than its position."""

ZONES: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0))


@dataclass(frozen=True)
class Turn:
    """Left and right exchanged (or not), then ``quarters`` turns of 90 degrees counter-clockwise as seen."""

    quarters: int
    mirrored: bool

    @property
    def matrix(self) -> Floats:
        """(2, 2) row vectors (x right, y down) times this are the turned vectors."""
        mirror = np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        return np.asarray(mirror @ np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), self.quarters))

    def of_places(self, xy: Floats, shape: tuple[int, int]) -> Floats:
        """Where places (N, 2) of an image of ``shape`` go."""
        centre = np.array([shape[1] - 1, shape[0] - 1]) / 2
        return np.asarray((xy - centre) @ self.matrix + (centre[::-1] if self.quarters % 2 else centre))

    def of_micrograph(self, micrograph: Micrograph) -> Micrograph:
        """All signals, turned, and width and height of the pixels."""
        signals = {}
        for name, signal in micrograph.signals.items():
            image = np.rot90(signal.image[:, ::-1] if self.mirrored else signal.image, self.quarters)
            signals[name] = Signal(name, np.ascontiguousarray(image), signal.contrast)
        size = micrograph.pixel_size
        assert size is not None
        if self.quarters % 2:
            size = PixelSize(size.y_pm, size.x_pm, size.origin)
        return replace(micrograph, signals=signals, pixel_size=size)


TURNS = {
    "quarter turn": Turn(1, False),
    "half turn": Turn(2, False),
    "three quarter turns": Turn(3, False),
    "left and right exchanged": Turn(0, True),
    "transposed": Turn(1, True),
    "up and down exchanged": Turn(2, True),
    "transposed about the other diagonal": Turn(3, True),
}

GENERATORS = ("quarter turn", "left and right exchanged")
"""All others are made of these two."""


def _table(analysis: Analysis) -> Columns:
    assert analysis.columns is not None
    return analysis.columns


def _elements(columns: Columns) -> NDArray[np.str_]:
    """(N,) site names; oxygen sites that a turn exchanges share one."""
    return np.array(["O" if name.startswith("O") else name for name in columns.sites])[columns.site]


def _partners(before: Analysis, after: Analysis, turn: Turn) -> NDArray[np.int64]:
    """(N,) row of each column in the turned analysis, of the same element and with the same flags."""
    a, b = _table(before), _table(after)
    assert len(a) == len(b)
    row = np.asarray(cKDTree(b.xy).query(turn.of_places(a.xy, before.micrograph.shape))[1])
    assert len(np.unique(row)) == len(row)
    np.testing.assert_array_equal(_elements(b)[row], _elements(a))
    np.testing.assert_array_equal(b.flags[row], a.flags)
    return row


def _compare_columns(a: Columns, b: Columns, turn: Turn, shape: tuple[int, int]) -> None:
    """Rows of ``b`` stand in the order of ``a``."""
    np.testing.assert_allclose(b.xy, turn.of_places(a.xy, shape), rtol=0, atol=TOLERANCE_PX)
    largest = float(np.nanmax(a.cov))
    np.testing.assert_allclose(b.cov, turn.matrix.T @ a.cov @ turn.matrix, rtol=1e-5, atol=1e-6 * largest)
    height = float(np.abs(a.amplitude).max())
    for name, scale in (("amplitude", height), ("amplitude_std", 1), ("background", height), ("sigma", 1)):
        np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=1e-6, atol=1e-6 * scale, err_msg=name)
    np.testing.assert_allclose(b.residual, a.residual, rtol=1e-4)
    np.testing.assert_array_equal(np.isfinite(b.moments), np.isfinite(a.moments))
    turned = turn.matrix.T @ a.moments[:, [0, 1, 1, 2]].reshape(-1, 2, 2) @ turn.matrix
    expected_moments = turned.reshape(-1, 4)[:, [0, 1, 3]]
    np.testing.assert_allclose(b.moments, expected_moments, rtol=0, atol=1e-4 * float(np.nanmax(a.moments)))
    expected = (180 - a.angle_deg if turn.mirrored else a.angle_deg) + 90 * turn.quarters
    assert np.abs((b.angle_deg - expected + 90) % 180 - 90).max() < SAME_ANGLE_DEG


def _compare_vectors(before: Analysis, after: Analysis, turn: Turn, partner: NDArray[np.int64]) -> None:
    for a, b in ((before.displacement, after.displacement), (before.polarization, after.polarization)):
        assert a is not None and b is not None
        assert a.valid.sum() > 20
        np.testing.assert_allclose(b.uv[partner], a.uv @ turn.matrix, rtol=0, atol=14 * TOLERANCE_PX)
        np.testing.assert_allclose(b.cov[partner], turn.matrix.T @ a.cov @ turn.matrix, rtol=1e-5, atol=1e-9)
        np.testing.assert_array_equal(b.significant[partner], a.significant)


def _compare_interfaces(before: Analysis, after: Analysis, turn: Turn, partner: NDArray[np.int64]) -> None:
    a, b = before.interface, after.interface
    assert a is not None and b is not None
    np.testing.assert_allclose(b.normal, a.normal @ turn.matrix, atol=1e-8)
    np.testing.assert_allclose(b.parallel, (-1 if turn.mirrored else 1) * a.parallel @ turn.matrix, atol=1e-8)
    assert sorted(map(abs, b.plane)) == sorted(map(abs, a.plane))
    np.testing.assert_array_equal(b.layer[partner], a.layer)
    np.testing.assert_allclose(b.distance_nm[partner], a.distance_nm, atol=1e-7)
    # The point may slide along the edge; the edge itself stays.
    away = (b.point - turn.of_places(a.point[None], before.micrograph.shape)[0]) @ b.normal
    assert abs(away) < TOLERANCE_PX


def _compare_profiles(before: Analysis, after: Analysis, turn: Turn) -> None:
    a, b = before.profile, after.profile
    assert a is not None and b is not None
    for name, values in a.arrays().items():
        sign = -1 if turn.mirrored and name in ("parallel_pm", "atom_parallel_pm", "p_parallel_uC_cm2") else 1
        np.testing.assert_allclose(b.arrays()[name], sign * values, rtol=1e-5, atol=2e-5, err_msg=name)


def _compare_headlines(before: Analysis, after: Analysis, turn: Turn) -> None:
    """The same name of the direction, and by every model, the sum over all atoms too, the same polarization, turned."""
    a, b = before.headline, after.headline
    assert a is not None and b is not None and a.direction is not None and b.direction is not None
    assert (b.direction.indices, b.direction.normal) == (a.direction.indices, a.direction.normal)
    assert b.direction.off_deg == pytest.approx(a.direction.off_deg, abs=1e-4)
    assert [one.model for one in b.estimates] == [one.model for one in a.estimates]
    for one, other in zip(a.estimates, b.estimates, strict=True):
        np.testing.assert_allclose(other.vector, one.vector @ turn.matrix, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(other.cov, turn.matrix.T @ one.cov @ turn.matrix, rtol=1e-4, atol=1e-5)
    for model, field in before.models.items():
        lengths = [np.sort(one.magnitude[one.valid]) for one in (field, after.models[model])]
        np.testing.assert_allclose(*lengths, rtol=1e-4, atol=1e-4)


def _turns(shot: Any, name: str) -> None:
    """Everything that was measured is the same, turned."""
    turn, before = TURNS[name], shot.analysis
    after = stemdisp.analyse(turn.of_micrograph(shot.micrograph), shot.recipe)
    shape, row = before.micrograph.shape, _partners(before, after, turn)
    _compare_columns(_table(before), _table(after).take(row), turn, shape)
    for signal, columns in before.by_signal.items():
        _compare_columns(columns, after.by_signal[signal].take(row), turn, shape)
        shift = np.array(before.signal_shift_px[signal]) @ turn.matrix
        np.testing.assert_allclose(after.signal_shift_px[signal], shift, rtol=0, atol=TOLERANCE_PX)
    assert after.cells is not None
    cell_of = np.full(len(row), -1)
    cell_of[after.cells.moving] = np.arange(len(after.cells))
    partner = cell_of[row[before.cells.moving]]
    assert (partner >= 0).all()
    np.testing.assert_array_equal(after.cells.flags[partner], before.cells.flags)
    _compare_vectors(before, after, turn, partner)
    _compare_interfaces(before, after, turn, partner)
    _compare_profiles(before, after, turn)
    _compare_headlines(before, after, turn)


@pytest.mark.parametrize("name", TURNS)
@pytest.mark.parametrize("zone", ZONES)
def test_the_pair_turns(analysed: Callable[..., Any], zone: Zone, name: str) -> None:
    shot = analysed(zone, ("HAADF", "ABF"))
    assert np.hypot(*shot.analysis.signal_shift_px["ABF"]) > 0.5
    _turns(shot, name)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("signal", ["HAADF", "ABF"])
@pytest.mark.parametrize("zone", ZONES)
def test_one_signal_turns(analysed: Callable[..., Any], zone: Zone, signal: SignalName, name: str) -> None:
    _turns(analysed(zone, (signal,)), name)


@pytest.mark.parametrize("zone", ZONES)
def test_a_mirror_changes_the_sign_of_parallel_alone(analysed: Callable[..., Any], zone: Zone) -> None:
    """The image has layers whose parallel component is large enough to have a sign."""
    shot = analysed(zone)
    mirrored = stemdisp.analyse(TURNS["left and right exchanged"].of_micrograph(shot.micrograph), shot.recipe)
    a, b = shot.analysis.profile, mirrored.profile
    assert a is not None and b is not None
    known = np.flatnonzero(np.isfinite(a.parallel_pm))
    assert len(known) >= 4
    assert a.parallel_pm[known[0]] > 5
    np.testing.assert_allclose(b.parallel_pm[known], -a.parallel_pm[known], atol=2e-5)
    np.testing.assert_allclose(b.normal_pm[known], a.normal_pm[known], atol=2e-5)
