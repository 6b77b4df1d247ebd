"""One cell or column in the dock: numbers of the tables, flags in sentences, image, fit and rest."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stemdisp.cell_view import SIDE, CellView, with_error
from stemdisp import Flag
from stemdisp.flags import SENTENCES
from stemdisp.io.tables import cells_table


@pytest.fixture
def view(qtbot):
    view = CellView()
    qtbot.addWidget(view)
    view.resize(380, 500)
    view.show()
    return view


def pixels(picture) -> np.ndarray:
    """(ny, nx) lightness of a picture."""
    image = picture.image.pixmap().toImage()
    return np.array(
        [[image.pixelColor(x, y).lightnessF() for x in range(image.width())] for y in range(image.height())]
    )


def _good_cell(analysis) -> int:
    deep = analysis.interface.layer >= 2
    return int(np.flatnonzero(analysis.displacement.valid & deep)[0])


def test_a_cell_has_the_numbers_of_the_table(view, one_side) -> None:
    cell = _good_cell(one_side)
    view.show_cell(one_side, cell)
    table = cells_table(one_side)
    assert view.title.startswith(f"Cell {cell}: K at (")
    numbers = view.numbers
    assert numbers["displacement right"] == with_error(table["dx_pm"][cell], table["dx_std_pm"][cell], "pm")
    assert numbers["layer"] == str(table["layer"][cell])
    assert numbers["polarization down"].endswith("µC/cm²")
    assert numbers["above its error"] in ("yes, at 5 %", "no, at 5 %")
    assert view.told == f"• {SENTENCES[Flag.PREDICTED]}"
    view.show_column(one_side, int(np.flatnonzero(one_side.columns.flags == 0)[0]))
    assert view.told == "No flags: nothing speaks against it."


def test_image_and_fit_are_alike_and_the_rest_is_small(view, one_side) -> None:
    view.show_cell(one_side, _good_cell(one_side))
    image, fit, rest = view.pictures
    assert image.isVisible() and image.image.pixmap().width() <= SIDE
    assert np.corrcoef(pixels(image).ravel(), pixels(fit).ravel())[0, 1] > 0.98
    assert image.caption.text() == "HAADF"
    assert rest.caption.text().startswith("rest ±")


def test_a_column_has_its_own(view, one_side) -> None:
    columns = one_side.columns
    row = int(np.flatnonzero(columns.of_site("O") & columns.usable)[5])
    view.show_column(one_side, row)
    assert view.title.startswith(f"Column {row}: O at (") and view.title.endswith("in ABF")
    assert view.numbers["x"] == with_error(columns.xy[row, 0], columns.xy_std[row, 0], "px")
    assert float(view.numbers["amplitude"].split(" ")[0]) < 0
    assert view.pictures[0].caption.text() == "ABF"


def test_flags_are_told_in_sentences(view, one_side) -> None:
    cells, columns = one_side.cells, one_side.columns
    cell = int(np.flatnonzero(cells.flags & Flag.INCOMPLETE)[0])
    view.show_cell(one_side, cell)
    assert "a reference neighbour of the cell is missing" in view.told
    assert "displacement right" not in view.numbers, "what was not measured is left out"
    flagged = columns.flags.copy()
    flagged[cells.moving[3]] |= Flag.EDITED
    flagged[cells.reference[3, 0]] |= Flag.WEAK
    edited = one_side.having(columns=columns.replace(flags=flagged))
    view.show_cell(edited, 3)
    assert f"• K: {SENTENCES[Flag.EDITED]}\n• Ta: {SENTENCES[Flag.WEAK]}" in view.told
    view.show_column(edited, int(cells.moving[3]))
    assert SENTENCES[Flag.EDITED] in view.told


def test_what_cannot_be_shown_is_said(view, one_side) -> None:
    assert view.told.startswith("Click a cell")
    view.show_column(one_side.having(by_signal={}), 3)
    assert view._unseen.text() == "Columns have not been refined yet; there is no fit to show."
    assert not view.pictures[0].isVisible()
    view.show_column(one_side, 4)
    assert view.pictures[0].isVisible() and not view._unseen.isVisible()
    view.show_cell(one_side, 10**6)
    assert view.told == "There is no such cell." and view.numbers == {}
    view.show_column(one_side, -1)
    assert view.told == "There is no such column."


def test_every_column_and_cell_can_be_shown(view, one_side) -> None:
    for row in range(0, len(one_side.columns), 23):
        view.show_column(one_side, row)
    for cell in range(0, len(one_side.cells), 11):
        view.show_cell(one_side, cell)
    assert view.minimumSizeHint().width() <= 360


def test_numbers_end_where_their_error_begins() -> None:
    assert with_error(12.3456, 0.789, "pm") == "12.35 ± 0.79 pm"
    assert with_error(-1234.5, 56.0, "uC/cm2") == "-1234 ± 56 µC/cm²"
    assert with_error(-35.25, None, "°") == "-35.25°"
    assert with_error(3.0, float("nan"), "") == "3"
