"""Whole analyses on a GPU against those on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import stemdisp
from stemdisp.backend import choose

INTERFACE = Path(__file__).parents[2] / "sample_data" / "interface"


@pytest.mark.gpu
def test_a_gpu_moves_no_column() -> None:
    image = stemdisp.read(INTERFACE / "KTO111_1e5_HAADF.tif", INTERFACE / "KTO111_1e5_ABF.tif")
    recipe = stemdisp.recipe_for("KTaO3", "1-10")
    one, other = (stemdisp.analyse(image, recipe, device=device) for device in ("cpu", "gpu"))
    assert one.device.startswith("cpu, ")
    assert choose("gpu").name in other.device
    assert one.columns is not None
    assert other.columns is not None
    assert one.profile is not None
    assert other.profile is not None
    np.testing.assert_allclose(other.columns.xy, one.columns.xy, atol=1e-3)
    np.testing.assert_allclose(other.columns.xy_std, one.columns.xy_std, rtol=0.01, atol=1e-6)
    np.testing.assert_allclose(other.profile.parallel_pm, one.profile.parallel_pm, atol=0.01)
