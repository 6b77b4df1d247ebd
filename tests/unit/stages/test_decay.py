"""The decay of the displacement: what went in comes out, and nothing where there is none."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from stemdisp.model.profile import Profile
from stemdisp.stages.decay import decay

NOTHING = np.zeros(0, dtype=np.int64)


def profile(length_nm: float, seed: int | None = None, count: int = 16, amplitude: tuple[float, float] = (9.0, 24.0)):
    distance = 0.12 + 0.23 * np.arange(count)
    values = {f.name: np.full(count, np.nan) for f in fields(Profile)}
    rng = np.random.default_rng(seed)
    for name, size in zip(("normal", "parallel"), amplitude, strict=True):
        noise = rng.normal(0, 0.8, count) if seed is not None else 0.0
        values[f"{name}_pm"] = size * np.exp(-distance / length_nm) + noise
        values[f"{name}_sem_pm"] = np.full(count, 0.8)
    values |= {
        "n": np.full(count, 8),
        "layer": np.arange(count),
        "distance_nm": distance,
        "significant": (np.arange(count) < 3) * 1.0,
    }
    return Profile(**values)


def test_without_noise_the_parameters_come_back() -> None:
    found = decay(profile(0.6), NOTHING)
    assert found is not None
    assert (found.normal_pm, found.parallel_pm, found.length_nm) == pytest.approx((9, 24, 0.6), rel=1e-4)
    assert found.chi2 < 1e-6


@pytest.mark.parametrize("length", [0.4, 0.8, 1.4])
def test_errors_are_as_large_as_claimed(length) -> None:
    pulls = []
    for seed in range(60):
        found = decay(profile(length, seed), NOTHING)
        assert found is not None
        assert abs(found.length_nm - length) < max(0.2 * length, 3.5 * found.length_std_nm)
        pulls.append((found.length_nm - length) / found.length_std_nm)
    assert np.mean(np.square(pulls)) < 1.6


def test_nothing_is_claimed_where_there_is_none() -> None:
    flat = profile(0.6, amplitude=(0.0, 0.0))
    assert decay(replace(flat, significant=np.zeros(16)), NOTHING) is None
    assert decay(profile(50.0), NOTHING) is None  # a slope
    short = profile(0.6, count=3)
    assert decay(short, NOTHING) is None
    hollow = profile(0.6)
    assert decay(replace(hollow, normal_pm=np.full(16, np.nan)), NOTHING) is None


def test_what_was_subtracted_with_the_reference_is_known() -> None:
    """A shallow crystal, of which the last layers are the reference though they still are displaced."""
    whole = profile(0.8, count=10)
    reference = np.array([7, 8, 9])
    left = replace(
        whole,
        normal_pm=whole.normal_pm - whole.normal_pm[reference].mean(),
        parallel_pm=whole.parallel_pm - whole.parallel_pm[reference].mean(),
    )
    found, naive = decay(left, reference), decay(left, NOTHING)
    assert found is not None and naive is not None
    assert (found.normal_pm, found.parallel_pm, found.length_nm) == pytest.approx((9, 24, 0.8), rel=1e-4)
    assert naive.length_nm < 0.75
