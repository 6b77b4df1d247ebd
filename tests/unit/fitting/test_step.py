"""A line across which values jump, among noise and trends."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.step import Step, find_step

PLACES = np.stack(np.meshgrid(np.arange(50.0), np.arange(40.0)), axis=-1).reshape(-1, 2) * 4.0
MIDDLE = PLACES.mean(axis=0)


def heights(direction_deg: float, place: float, bow: float = 0.0):
    turned = np.radians(direction_deg)
    normal = np.array([np.cos(turned), np.sin(turned)])
    away = PLACES - MIDDLE
    return normal, away @ normal - place - bow * (away @ [normal[1], -normal[0]]) ** 2


def found(jump: float, height, seed: int = 0, trend=0.0) -> Step:
    values = np.random.default_rng(seed).standard_normal((len(PLACES), 2))
    values[:, 1] += jump * (height > 0)
    return find_step(PLACES, values + np.reshape(trend, (-1, 1)), width=2.0, worth=25.0)


@pytest.mark.parametrize("direction", [0.0, 37.0, 90.0, 141.0])
def test_place_and_error_at_any_direction(direction) -> None:
    normal, height = heights(direction, 11.0)
    steps = [found(3.0, height, seed) for seed in range(4)]
    for step in steps:
        assert abs(step.normal @ normal) > 0.9999 and step.gain > 500 and not len(step.bend)
        sign = np.sign(step.normal @ normal)
        assert sign * step.jump[1] == pytest.approx(3.0, rel=0.1) and abs(step.jump[0]) < 0.3
        assert abs(sign * step.place - 11.0) < 2.0 and 0 < step.place_std < 0.5  # rows are 4 apart


def test_a_bent_line_is_followed() -> None:
    normal, height = heights(90.0, 5.0, bow=1 / 600)
    step = found(3.0, height)
    sign = np.sign(step.normal @ normal)
    assert len(step.bend) and np.abs(sign * step.height(PLACES) - height).max() < 3.0


def test_chance_and_smooth_trends_gain_little() -> None:
    away = (PLACES - MIDDLE) / 100
    assert max(found(0.0, PLACES[:, 0], seed).gain for seed in range(5)) < 50
    curved = found(0.0, PLACES[:, 0], trend=20 * away[:, 0] + 10 * away[:, 1] ** 2 - 5 * away[:, 0] * away[:, 1])
    assert curved.gain < 50
