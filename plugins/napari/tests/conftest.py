"""What holds for all tests: settings of their own, a screen, and an interface that was analysed once."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stemdisp
from stemdisp import Analysis, Micrograph
from stemdisp.scene import Dose, Edge, Motion, Scene, View
from stemdisp.synthetic import simulate

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
    from napari_stemdisp.samples import interface_synthetic

    micrograph = interface_synthetic()[0][1]["metadata"]["stemdisp"]["micrograph"]
    return stemdisp.analyse(micrograph, stemdisp.recipe_for("KTaO3", "1-10"), device="cpu")


@pytest.fixture
def said():
    """The sentences that napari was asked to show since the test began, with how grave they are."""
    from napari.utils.notifications import notification_manager

    before = len(notification_manager.records)
    return lambda: [(str(one.severity), one.message) for one in notification_manager.records[before:]]


def _analysed(edge: Edge) -> Analysis:
    scene = Scene(
        signals=("HAADF", "ABF"),
        view=View(pixel_size_pm=(20.0, 20.0), shape=(260, 200), rotation_deg=0.0),
        edge=edge,
        motion=Motion(normal_pm=20.0, parallel_pm=10.0),
        dose=Dose(peak_counts=3000.0),
        seed=1,
    )
    micrograph, _ = simulate(scene)
    return stemdisp.analyse(micrograph, stemdisp.recipe_for("KTaO3", "1-10"))


@pytest.fixture(scope="session")
def one_side() -> Analysis:
    """A crystal under an amorphous cap."""
    return _analysed(Edge())


@pytest.fixture(scope="session")
def two_sides() -> Analysis:
    """Crystals on both sides of an interface."""
    return _analysed(Edge(beyond="crystal", beyond_strength={"Ta": 0.6}))


@pytest.fixture(scope="module")
def small() -> Micrograph:
    """An interface of some hundred columns."""
    scene = Scene(
        view=View(shape=(230, 330), pixel_size_pm=(14.0, 14.0)), edge=Edge(offset_A=4.0), motion=Motion(parallel_pm=20)
    )
    return stemdisp.simulate(scene.facing(90))[0]


@pytest.fixture
def window(make_napari_viewer: Callable[..., Any], qtbot: Any) -> Iterator[Any]:
    """A viewer with the panel in it."""
    from window import LONG_MS, Window

    from napari_stemdisp.panel import Panel

    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    panel = Panel(viewer)
    viewer.window.add_dock_widget(panel, name="STEM displacement", area="right")
    found = Window(viewer, panel, qtbot)
    found.rest()
    yield found
    panel.stop()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=LONG_MS)
    panel.close()
