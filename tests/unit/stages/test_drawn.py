"""A line or a chain of points that a user drew."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.errors import StageError
from stemdisp.model.micrograph import PixelSize
from stemdisp.stages.drawn import drawn

SIZE, SHAPE = PixelSize(10.0, 12.0, "file"), (500, 400)


@pytest.mark.parametrize("order", [1, -1])
def test_the_crystal_is_where_more_columns_are(crystal, order) -> None:
    _, columns = crystal()
    low = float(columns.xy[:, 1].min()) - 20
    edge = drawn(np.array([[10.0, low], [300.0, low]])[::order], columns, SIZE, SHAPE)
    assert edge.kind == "drawn" and edge.normal == pytest.approx([0, -1])
    high = float(columns.xy[:, 1].max()) + 20
    assert drawn(np.array([[10.0, high], [300.0, high]]), columns, SIZE, SHAPE).normal == pytest.approx([0, 1])


def test_normal_in_physical_proportions(crystal) -> None:
    _, columns = crystal()
    edge = drawn(np.array([[0.0, 0.0], [120.0, 100.0]]), columns, SIZE, SHAPE)
    assert np.abs(edge.normal) == pytest.approx([0.5**0.5, 0.5**0.5])


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ([[5, 5], [5, 5]], "the same"),
        ([[5, 5], [90, 5], [5, 5]], "the same"),
        ([[5, -40], [90, -40]], "outside the image of 400 x 500 px"),
        ([[-30, 0], [-20, 400]], "outside the image"),
        ([[500, 0], [500, 400]], "outside the image"),
    ],
)
def test_what_is_no_edge_of_the_image_is_refused(crystal, points, sentence) -> None:
    with pytest.raises(StageError, match=sentence):
        drawn(np.array(points, dtype=float), crystal()[1], SIZE, SHAPE)


def test_a_line_that_its_ends_carry_into_the_image_is_taken(crystal) -> None:
    drawn(np.array([[-30.0, -60.0], [-20.0, -40.0]]), crystal()[1], SIZE, SHAPE)
    drawn(np.array([[-300.0, 90.0], [800.0, 90.0]]), crystal()[1], SIZE, SHAPE)
