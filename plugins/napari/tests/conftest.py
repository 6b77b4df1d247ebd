"""What holds for all tests: settings of their own, a screen, and an interface that was analysed once."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

# Before napari looks for them: those of the user are neither read nor written.
os.environ.setdefault("NAPARI_CONFIG", str(Path(tempfile.mkdtemp(prefix="napari-")) / "settings.yaml"))

# PySide6 6.12 gives None back more often than it took it: once for every event that Python handles, thousands of times
# a viewer.  Up to Python 3.11, which counts None like everything else, a process ends when none is left.
if sys.version_info < (3, 12):
    ctypes.c_ssize_t.from_address(id(None)).value += 1 << 30

NEEDS_SCREEN = {"make_napari_viewer", "make_napari_viewer_proxy", "qapp", "qtbot"}
"""Fixtures that abort the whole process where there is no screen."""


def _no_screen() -> bool:
    """Whether windows can neither be shown nor drawn unseen."""
    return sys.platform.startswith("linux") and "DISPLAY" not in os.environ and shutil.which("Xvfb") is None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not _no_screen():
        return
    if os.environ.get("CI"):
        raise pytest.UsageError("there is no screen and no Xvfb: the tests of the plugin would all be skipped")
    for item in items:
        if NEEDS_SCREEN & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.skip(reason="no screen, and no Xvfb (apt-get install xvfb)"))


@pytest.fixture(scope="session")
def analysis():
    """The synthetic interface of the samples, analysed."""
    import stemdisp
    from napari_stemdisp.samples import interface_synthetic

    micrograph = interface_synthetic()[0][1]["metadata"]["stemdisp"]["micrograph"]
    return stemdisp.analyse(micrograph, stemdisp.recipe_for("KTaO3", "1-10"), device="cpu")


@pytest.fixture
def said():
    """The sentences that napari was asked to show since the test began, with how grave they are."""
    from napari.utils.notifications import notification_manager

    before = len(notification_manager.records)
    return lambda: [(str(one.severity), one.message) for one in notification_manager.records[before:]]
