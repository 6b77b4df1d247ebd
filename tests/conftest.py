"""What holds for all tests: those marked ``gpu`` are skipped, with the reason, where no GPU computes."""

from __future__ import annotations

import pytest

from stemdisp import backend
from stemdisp.errors import DeviceError


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is not None:
        try:
            backend.choose("gpu")
        except DeviceError as error:
            pytest.skip(str(error))
