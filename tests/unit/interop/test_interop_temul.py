"""Displacements as TEMUL takes them."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.errors import CalibrationError, StageError
from stemdisp.interop.temul import to_temul
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import PixelSize


def test_vectors_go_from_the_reference_to_the_moving_column(kto: Analysis) -> None:
    oblong = kto.having(micrograph=kto.micrograph.with_pixel_size(PixelSize(10, 20, "user")))
    assert kto.displacement is not None
    valid = kto.displacement.valid
    found = to_temul(oblong)
    assert list(found) == ["x", "y", "u", "v"]
    assert all(isinstance(values, list) for values in found.values())
    np.testing.assert_array_equal([found["x"], found["y"]], kto.displacement.xy[valid].T)
    np.testing.assert_allclose([found["u"], found["v"]], (kto.displacement.uv[valid] / [10, 20]).T)


def test_what_is_missing_is_said(kto: Analysis) -> None:
    with pytest.raises(CalibrationError, match="no pixel size"):
        to_temul(kto.having(micrograph=kto.micrograph.with_pixel_size(None)))
    with pytest.raises(StageError, match="no displacements yet"):
        to_temul(kto.having(displacement=None))
