"""What the report and the console say of a mean displacement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.model.headline import Direction, Headline
from stemdisp.report.words import JOIN, direction_sentence, mean_words

ALL_CELLS = Headline(
    layer=None,
    cells=100,
    mean_pm=np.array([-3.0, 4.0]),
    cov_pm=np.diag([0.25, 0.25]),
    significant=True,
    direction=None,
    no_direction="",
    estimates=(),
)


def test_a_mean_has_a_length_and_two_sides() -> None:
    assert mean_words(ALL_CELLS).replace(JOIN, " ") == "5.00 ± 0.50 pm (3.00 left, 4.00 down)"


@pytest.mark.parametrize(("off", "std", "along"), [(9.9, 0.5, False), (2.0, 1.0, True), (12.0, 5.0, False)])
def test_what_is_surely_off_a_direction_is_not_along_it(off: float, std: float, along: bool) -> None:
    direction = Direction(indices=(2, 1, 0), off_deg=off, std_deg=std, exact=True, normal=None)
    said = direction_sentence(replace(ALL_CELLS, direction=direction))
    assert ("points along" in said) == along
    assert ("the nearest direction of low indices" in said) == (not along)
    assert "(3.00 left, 4.00 down)" in said
