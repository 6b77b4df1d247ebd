"""What is left of an image without the crystal found in it, and other crystals that are found there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import stemdisp
from stemdisp.materials import KTaO3
from stemdisp.model.columns import Columns
from stemdisp.model.micrograph import Micrograph, Signal
from stemdisp.scene import Dose, Edge, Scene, View
from stemdisp.stages.blank import REACH, blank
from stemdisp.synthetic import simulate

N = 360


@pytest.fixture
def left(crystal):
    """A crystal in the left half of an image that is empty elsewhere, the columns of the whole being the peaks."""
    lattice, columns = crystal((0, 0, 1), 6)
    x, y = columns.xy.min(axis=0) - 20
    placed = columns.replace(xy=columns.xy - [x, y])
    image = np.arange(500.0 * 300).reshape(300, 500)
    return Signal("HAADF", image), placed, lattice


def test_the_crystal_and_its_surroundings_are_gone(left) -> None:
    signal, columns, lattice = left
    far = np.array([[430.0, 40.0], [470.0, 200.0]] * 6)
    peaks = Columns.at(np.vstack([columns.xy, far]), ("peak",), ("HAADF",))
    found = blank(signal, peaks, columns, lattice, 9)
    assert found is not None
    rest, others = found
    np.testing.assert_array_equal(others.xy, far)
    changed = rest.image != signal.image
    y, x = np.nonzero(changed)
    nearest = np.hypot(x[:, None] - columns.xy[:, 0], y[:, None] - columns.xy[:, 1]).min(axis=1)
    reach = REACH * np.linalg.norm(lattice.cell, axis=1).max()
    assert nearest.max() <= reach + 1
    assert len(np.unique(rest.image[changed])) == 1
    assert rest.image[changed][0] == pytest.approx(np.median(rest.image[~changed]), rel=1e-3)


def test_nothing_is_written_into_what_was_given(left) -> None:
    signal, columns, lattice = left
    before = signal.image.copy()
    blank(signal, columns, columns, lattice, 9)
    np.testing.assert_array_equal(signal.image, before)


def test_too_little_room_or_too_few_peaks_end_the_search(left) -> None:
    signal, columns, lattice = left
    peaks = Columns.at(np.tile([[450.0, 150.0]], (20, 1)), ("peak",), ("HAADF",))
    assert blank(signal, peaks, columns, lattice, 9) is not None
    assert blank(signal, peaks, columns, lattice, 500) is None
    assert blank(signal, peaks.take(np.arange(20) < 8), columns, lattice, 9) is None


def test_missing_pixels_stay_out_of_the_median(left) -> None:
    signal, columns, lattice = left
    image = signal.image.copy()
    image[:, 480:] = np.nan
    peaks = Columns.at(np.tile([[430.0, 150.0]], (20, 1)), ("peak",), ("HAADF",))
    found = blank(replace(signal, image=image), peaks, columns, lattice, 9)
    assert found is not None and np.isfinite(found[0].image[:, :470]).all()


def grain(rotation: float, seed: int) -> np.ndarray:
    scene = Scene(view=View(shape=(N, N), pixel_size_pm=(12.0, 12.0), rotation_deg=rotation), seed=seed)
    return simulate(scene)[0].signals["HAADF"].image.copy()


def analysed(image: np.ndarray):
    size = stemdisp.PixelSize(12.0, 12.0, "file")
    return stemdisp.analyse(
        Micrograph("grains", {"HAADF": Signal("HAADF", image)}, size), stemdisp.recipe_for("KTaO3", "1-10")
    )


@pytest.mark.parametrize("cut", [0.6, 0.38])
def test_of_two_crystals_the_larger_is_analysed_and_the_other_counted(cut) -> None:
    """On either side of the picture, though the order of the other may be found first."""
    image, column = grain(5.0, 0), int(cut * N)
    image[:, column:] = grain(35.0, 1)[:, column:]
    found = analysed(image)
    assert len(found.notes) == 1
    assert found.notes[0].startswith("another crystal in view, of ")
    assert f"only the largest, of {len(found.columns)} columns, is analysed" in found.notes[0]
    inside = found.columns.xy[:, 0] < column if cut > 0.5 else found.columns.xy[:, 0] > column
    assert inside.mean() > 0.93
    turn = (found.lattice.rotation_deg - (5.0 if cut > 0.5 else 35.0) + 90) % 180 - 90
    assert abs(turn) < 1


@pytest.mark.parametrize(
    "scene",
    [
        Scene(view=View(shape=(260, 260))),
        Scene(view=View(shape=(260, 260)), edge=Edge(offset_A=3.0)).facing(90),
        Scene(view=View(shape=(260, 260)), edge=Edge(beyond="vacuum"), dose=Dose(peak_counts=5000)).facing(40),
        Scene(view=View(shape=(260, 260)), edge=Edge(beyond="crystal", step=0.6)).facing(90),
        Scene(view=View(shape=(260, 260)), missing=0.1),
    ],
    ids=["crystal alone", "under a cap", "half empty", "a brighter half", "with holes"],
)
def test_a_single_crystal_has_no_others(scene) -> None:
    assert scene.material is KTaO3
    found = stemdisp.analyse(simulate(scene)[0], stemdisp.recipe_for("KTaO3", "1-10"))
    assert not any("crystal" in note for note in found.notes)
