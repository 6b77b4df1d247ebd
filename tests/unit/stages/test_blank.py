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
from stemdisp.stages.blank import REACH, Part, blank
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


def part(signal: Signal, peaks: Columns) -> Part:
    return Part(signal, peaks, np.zeros(2, dtype=np.int64))


def test_the_crystal_and_its_surroundings_are_gone(left) -> None:
    signal, columns, lattice = left
    far = np.array([[430.0, 40.0], [470.0, 200.0]] * 6)
    peaks = Columns.at(np.vstack([columns.xy, far]), ("peak",), ("HAADF",))
    (rest,) = blank(part(signal, peaks), lattice, columns, 9)
    np.testing.assert_array_equal(rest.peaks.xy + rest.corner, far)
    (x0, y0), (ny, nx) = rest.corner, rest.signal.image.shape
    old = signal.image[y0 : y0 + ny, x0 : x0 + nx]
    changed = rest.signal.image != old
    y, x = np.nonzero(changed)
    nearest = np.hypot(x[:, None] + x0 - columns.xy[:, 0], y[:, None] + y0 - columns.xy[:, 1]).min(axis=1)
    reach = REACH * np.linalg.norm(lattice.cell, axis=1).max()
    assert nearest.max() <= reach + 1
    assert len(np.unique(rest.signal.image[changed])) == 1
    assert rest.signal.image[changed][0] == pytest.approx(np.median(old[~changed]), rel=1e-3)


def test_pieces_on_both_sides_are_cut_out_and_found_again_in_the_whole(left) -> None:
    signal, columns, lattice = left
    middle = columns.replace(xy=columns.xy + np.array([150, 0]))
    high = columns.xy[:, 1].max()
    image = signal.image[: int(high) + 20]
    spots = np.array([[20.0, 30.0], [45.0, 90.0]] * 6 + [[470.0, 60.0]] * 20)
    pieces = blank(part(replace(signal, image=image), Columns.at(spots)), lattice, middle, 9)
    assert [len(piece.peaks) for piece in pieces] == [20, 12]
    assert pieces[0].corner[0] > 300 and pieces[1].corner[0] == 0
    moved, table = pieces[0].in_the_whole(lattice, pieces[0].peaks)
    np.testing.assert_array_equal(table.xy, spots[12:])
    np.testing.assert_array_equal(moved.origin, lattice.origin + pieces[0].corner)


def test_nothing_is_written_into_what_was_given(left) -> None:
    signal, columns, lattice = left
    before = signal.image.copy()
    blank(part(signal, columns), lattice, columns, 9)
    np.testing.assert_array_equal(signal.image, before)


def test_too_little_room_or_too_few_peaks_end_the_search(left) -> None:
    signal, columns, lattice = left
    peaks = Columns.at(np.tile([[450.0, 150.0]], (20, 1)), ("peak",), ("HAADF",))
    assert len(blank(part(signal, peaks), lattice, columns, 9)) == 1
    assert blank(part(signal, peaks), lattice, columns, 500) == []
    assert blank(part(signal, peaks.take(np.arange(20) < 8)), lattice, columns, 9) == []


def test_missing_pixels_stay_out_of_the_median(left) -> None:
    signal, columns, lattice = left
    image = signal.image.copy()
    image[:, 480:] = np.nan
    peaks = Columns.at(np.tile([[430.0, 150.0]], (20, 1)), ("peak",), ("HAADF",))
    (found,) = blank(part(replace(signal, image=image), peaks), lattice, columns, 9)
    assert np.isfinite(found.signal.image[:, : 470 - found.corner[0]]).all()


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


@pytest.mark.parametrize("strip", [0.3, 0.7])
def test_a_narrow_strip_is_noticed(strip) -> None:
    """Of a third of the frame, at the side."""
    image, column = grain(5.0, 0), int(strip * N)
    other = slice(None, column) if strip < 0.5 else slice(column, None)
    image[:, other] = grain(40.0, 1)[:, other]
    found = analysed(image)
    assert [note.split(",")[0] for note in found.notes] == ["another crystal in view"]


def test_three_crystals() -> None:
    image = grain(5.0, 0)
    image[:, :110] = grain(30.0, 1)[:, :110]
    image[:, 250:] = grain(50.0, 2)[:, 250:]
    found = analysed(image)
    assert len(found.notes) == 1 and found.notes[0].startswith("2 other crystals in view, of ")


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
