"""Tables in the dock: order, filter, choice, copies; as fast with a hundred thousand rows."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QComboBox, QLineEdit

from napari_stemdisp.table_model import TableModel, matching
from napari_stemdisp.table_view import TableView
from stemdisp.io.tables import TABLES

TABLE = {
    "cell": np.arange(5),
    "site": np.array(["K", "Ta", "K", "O", "K"], dtype=object),
    "dx_pm": np.array([3.0, np.nan, -1.5, 1 / 3, 20.0]),
    "layer": np.ma.array([0, 1, 2, 3, 4], mask=[0, 1, 0, 0, 0]),
    "flags": np.array(["", "EDGE|WEAK", "", "PREDICTED", ""], dtype=object),
}


@pytest.fixture
def view(qtbot):
    view = TableView()
    qtbot.addWidget(view)
    view.resize(380, 400)
    view.show()
    view.heard = []
    view.row_chosen.connect(view.heard.append)
    return view


def shown(model, name) -> list[str]:
    """The texts of a column from above."""
    column = model.names.index(name)
    return [model.data(model.index(row, column)) for row in range(model.rowCount())]


def test_what_is_missing_is_empty(qtbot) -> None:
    model = TableModel(TABLE)
    assert shown(model, "dx_pm") == ["3", "", "-1.5", "0.333333", "20"]
    assert shown(model, "layer") == ["0", "", "2", "3", "4"]


def test_rows_without_a_value_are_last_either_way(qtbot) -> None:
    model = TableModel(TABLE)
    model.sort(2)
    assert model.rows.tolist() == [2, 3, 0, 4, 1]
    model.sort(2, Qt.SortOrder.DescendingOrder)
    assert model.rows.tolist() == [4, 0, 3, 2, 1]
    model.sort(1)
    assert shown(model, "site") == ["K", "K", "K", "O", "Ta"]
    model.sort(-1)
    assert model.rows.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("dx_pm > 0", [0, 3, 4]),
        ("dx_pm<=3, site = K", [0, 2]),
        ("site != K", [1, 3]),
        ("edge", [1]),
        ("layer >= 3", [3, 4]),
        ("layer = 1", []),
    ],
)
def test_filters(text, rows) -> None:
    assert np.flatnonzero(matching(TABLE, text)).tolist() == rows


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("dz > 1", "no column dz"), ("dx_pm > many", "holds numbers"), ("site < K", "ask with = or !=")],
)
def test_filters_that_cannot_be_read(text, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        matching(TABLE, text)


def test_flags_are_explained(qtbot) -> None:
    model = TableModel(TABLE)
    told = model.data(model.index(1, 4), Qt.ItemDataRole.ToolTipRole)
    assert "too little of the column lies inside the image" in told and "contrast" in told


@pytest.mark.parametrize("name", TABLES)
def test_all_tables_of_an_analysis(view, one_side, name) -> None:
    view.show_analysis(one_side)
    view.show_table(name)
    table = TABLES[name](one_side)
    assert view.model.names == list(table)
    assert view.model.rowCount() == len(next(iter(table.values())))
    assert view._count.text() == f"{view.model.rowCount()} {name}"


def test_users_choose_rows_and_programs_do_not(view, one_side, qtbot) -> None:
    view.show_analysis(one_side)
    view.show_table("cells")
    view.show_row(12)
    assert view.heard == [] and view.row == 12
    qtbot.keyClick(view.view, Qt.Key.Key_Down)
    assert view.heard == [13]
    view.view.horizontalHeader().setSortIndicator(view.model.names.index("magnitude_pm"), Qt.SortOrder.DescendingOrder)
    assert view.row == 13 and view.heard == [13], "the row stays chosen when others pass it"
    table = TABLES["cells"](one_side)
    assert view.model.rows[0] == np.nanargmax(table["magnitude_pm"])
    place = view.view.visualRect(view.model.index(0, 1))
    view.view.scrollToTop()
    place = view.view.visualRect(view.model.index(0, 1))
    qtbot.mouseClick(view.view.viewport(), Qt.MouseButton.LeftButton, pos=place.center())
    assert view.heard == [13, int(view.model.rows[0])]


def test_the_filter_line(view, one_side, qtbot) -> None:
    view.show_analysis(one_side)
    view.show_table("cells")
    line = view.findChild(QLineEdit)
    line.setText("layer = 0")
    few = view.model.rowCount()
    assert 0 < few < len(one_side.cells)
    assert view._count.text() == f"{few} of {len(one_side.cells)} cells"
    view.show_analysis(one_side)
    assert view.model.rowCount() == few, "the filter outlives new results"
    line.setText("layr = 0")
    assert "no column layr" in view._count.text()
    assert view.heard == []


def test_copies_are_tab_separated(view, one_side) -> None:
    view.show_analysis(one_side)
    view.show_table("layers")
    view.view.selectRow(2)
    view.copy()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].split("\t") == view.model.names and len(lines) == 2
    values = dict(zip(view.model.names, lines[1].split("\t"), strict=True))
    assert float(values["parallel_pm"]) == one_side.profile.parallel_pm[2]
    view.view.clearSelection()
    view.copy()
    assert len(QGuiApplication.clipboard().text().splitlines()) == 1 + len(one_side.profile)


def test_nothing_is_known_yet(view) -> None:
    assert view._count.text() == "No image has been analysed yet."
    view.copy()
    view.show_row(3)


def test_the_table_is_chosen(view, one_side) -> None:
    told = []
    view.table_chosen.connect(told.append)
    view.show_analysis(one_side)
    box = view.findChild(QComboBox)
    box.setCurrentIndex(2)
    box.activated.emit(2)
    assert told == ["layers"] and view.table == "layers"


def test_only_what_is_seen_becomes_text(view, qtbot, monkeypatch) -> None:
    n, asked = 100_000, []
    table = {name: np.random.default_rng(0).normal(size=n) for name in map(str, range(45))}
    plain = TableModel.data
    monkeypatch.setattr(TableModel, "data", lambda self, *args: (asked.append(1), plain(self, *args))[1])
    view.model.set_table(table)
    view.view.resizeColumnsToContents()
    view.model.sort(3)
    view.view.scrollToBottom()
    qtbot.wait(50)
    assert len(asked) < n, "texts were made of rows that nobody sees"
    assert np.array_equal(view.model.rows, np.argsort(table["3"], kind="stable"))


def test_it_fits_a_dock(view) -> None:
    assert view.minimumSizeHint().width() <= 360
