"""Numbers that were once frozen stay: what is measured on one small image, to 1e-3 px."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

_SPEC = importlib.util.spec_from_file_location("frozen_image", Path(__file__).parent / "make_edge.py")
assert _SPEC is not None and _SPEC.loader is not None
make = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make)

SAME_PX = 1e-3


def test_the_same_numbers() -> None:
    """Every column under the same name at the same place, with the same displacement."""
    now, then = make.analyse(), make.read()
    assert now.keys() == then.keys()
    found = np.array([now[key] for key in then])
    frozen = np.array(list(then.values()))
    np.testing.assert_allclose(found[:, :2], frozen[:, :2], rtol=0, atol=SAME_PX)
    pixel = max(make.SCENE.view.pixel_size_pm)
    np.testing.assert_allclose(found[:, 2:], frozen[:, 2:], rtol=0, atol=2 * SAME_PX * pixel)
