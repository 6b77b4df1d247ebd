"""Forms of the recipe: rows from fields, signals from users alone, refusals in words."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QCheckBox, QLabel, QLineEdit, QSpinBox

from napari_stemdisp.editors import Automatic, Choice, Pair, Real, StillComboBox, StillRealBox, StillSlider, Text, Whole
from napari_stemdisp.form import MaterialForm, SectionForm, words
from stemdisp.polarization_section import PolarizationSection
from stemdisp.recipe import (
    AssignSection,
    BasisSection,
    DisplacementSection,
    FindSection,
    ImageSection,
    InterfaceSection,
    LayersSection,
    MaterialSection,
    RefineSection,
)

SECTIONS = (
    *(AssignSection, BasisSection, DisplacementSection, FindSection, ImageSection, InterfaceSection, LayersSection),
    *(PolarizationSection, RefineSection),
)


@pytest.fixture
def form_of(qtbot):
    def make(section, names=None):
        form = SectionForm(section, names)
        qtbot.addWidget(form)
        form.heard = []
        form.changed.connect(lambda name, value: form.heard.append((name, value)))
        return form

    return make


def part(form, name, kind):
    """The child of a row that a user touches."""
    return form.row(name).findChild(kind)


def type_in(qtbot, box, text) -> None:
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_a_form_that_shows_its_defaults(form_of, section) -> None:
    form = form_of(section)
    for name in section.model_fields:
        shown = form.row(name).editor.value()
        assert shown == getattr(section(), name), name
        assert section.model_fields[name].description[:20] in form.row(name).editor.toolTip()
    assert form.heard == []
    form.restore_defaults()
    assert form.heard == []


@pytest.mark.parametrize("section", SECTIONS)
def test_forms_fit_a_dock(form_of, section) -> None:
    assert form_of(section).minimumSizeHint().width() <= 350


def test_editors_follow_the_types(form_of) -> None:
    form = form_of(RefineSection)
    assert isinstance(form.row("weights").editor, Choice)
    assert isinstance(form.row("oxygen_spread").editor, Real)
    assert isinstance(form.row("max_iterations").editor, Whole)
    assert part(form, "oxygen_spread", StillRealBox).suffix() == " pm"
    assert part(form, "weak_window", StillRealBox).suffix() == " Å"
    assert part(form, "tolerance", StillRealBox).text() == "0.001 px"
    image = form_of(ImageSection)
    assert isinstance(image.row("pixel_size").editor.editor, Pair)
    assert isinstance(image.row("haadf_title").editor, Automatic)
    assert isinstance(form_of(InterfaceSection).row("line").editor.editor, Text)


def test_names_choose_fields_and_their_order(form_of) -> None:
    form = form_of(RefineSection, ("profile", "weights"))
    labels = [label.text() for label in form.findChildren(QLabel) if label.text()]
    assert labels == ["profile", "weights"]
    assert words("oxygen_in_haadf") == "oxygen in HAADF"


def test_users_are_heard_and_programs_are_not(form_of, qtbot) -> None:
    form = form_of(RefineSection)
    form.show()
    form.show_values(RefineSection(profile="gaussian", tolerance=2e-4, max_iterations=7, oxygen_spread=12.34567))
    assert form.heard == []
    assert form.section.tolerance == 2e-4
    assert form.row("oxygen_spread").editor.value() == 12.34567
    type_in(qtbot, part(form, "max_iterations", QSpinBox), "12")
    type_in(qtbot, part(form, "tolerance", StillRealBox), "0.005")
    box = part(form, "weights", StillComboBox)
    qtbot.keyClick(box, Qt.Key.Key_Down)
    assert form.heard == [("max_iterations", 12), ("tolerance", 0.005), ("weights", "poisson")]
    form.restore_defaults()
    assert set(form.heard[3:]) == {
        *(("max_iterations", 30), ("tolerance", 1e-3), ("weights", "auto"), ("profile", "tailed")),
        ("oxygen_spread", 10.0),
    }
    assert form.section == RefineSection()


def test_a_slider_goes_with_its_number(form_of) -> None:
    form = form_of(FindSection)
    editor = form.row("threshold").editor
    middle = editor.slider.value()
    assert 0 < middle < editor.slider.maximum()
    editor.slider.setValue(editor.slider.maximum())
    assert form.heard == [("threshold", 0.95)]
    editor.set_value(0.01)
    assert editor.slider.value() == 0
    assert form.heard == [("threshold", 0.95)]


def test_wide_ranges_slide_by_ratios(form_of) -> None:
    editor = form_of(RefineSection).row("tolerance").editor
    editor.slider.setValue(editor.slider.maximum() // 2)
    assert editor.value() == pytest.approx((1e-6 * 0.05) ** 0.5, rel=0.05)


def test_automatic_values(form_of, qtbot) -> None:
    form = form_of(FindSection)
    form.show()
    editor = form.row("separation").editor
    check = part(form, "separation", QCheckBox)
    assert check.isChecked() and not editor.editor.isEnabled()
    form.suggest("separation", 18.5)
    qtbot.mouseClick(check, Qt.MouseButton.LeftButton, pos=QPoint(8, check.height() // 2))
    assert form.heard == [("separation", 18.5)]
    form.suggest("separation", 3.0)
    assert editor.value() == 18.5, "what the user chose stays"
    qtbot.mouseClick(check, Qt.MouseButton.LeftButton, pos=QPoint(8, check.height() // 2))
    assert form.heard[1:] == [("separation", None)]


def test_a_refused_value_is_told_and_the_last_good_one_stays(form_of, qtbot) -> None:
    form = form_of(FindSection)
    form.show()
    form.show_values(FindSection(separation=5.0))
    box = part(form, "separation", StillRealBox)
    type_in(qtbot, box, "1")
    row = form.row("separation")
    assert row.sentence == "greater than 1; it stays 5.0"
    assert form.section.separation == 5.0 and form.heard == []
    type_in(qtbot, box, "4")
    assert row.sentence == "" and form.heard == [("separation", 4.0)]


def test_pairs_lines_and_tables(form_of, qtbot) -> None:
    image = form_of(ImageSection)
    image.show_values(ImageSection(pixel_size=(10.0, 11.0)))
    boxes = image.row("pixel_size").findChildren(StillRealBox)
    type_in(qtbot, boxes[1], "0.1")
    assert "between 0.5 and 200 pm" in image.row("pixel_size").sentence
    type_in(qtbot, boxes[1], "12")
    assert image.heard == [("pixel_size", (10.0, 12.0))]
    edge = form_of(InterfaceSection)
    edge.show_values(InterfaceSection(line=(1.0, 2.0, 3.0, 4.0)))
    line = part(edge, "line", QLineEdit)
    type_in(qtbot, line, "0, 10, 200")
    assert edge.row("line").sentence and edge.heard == []
    type_in(qtbot, line, "0, 10, 200, 12.5")
    assert edge.heard == [("line", (0.0, 10.0, 200.0, 12.5))]
    type_in(qtbot, part(edge, "plane", QLineEdit), "abc")
    assert "three indices" in edge.row("plane").sentence
    polar = form_of(PolarizationSection)
    polar.show_values(PolarizationSection(model="full", born_charges={"O": (-5.8, -2.6)}))
    charges = part(polar, "born_charges", QLineEdit)
    assert charges.text() == "O = [-5.8, -2.6]"
    type_in(qtbot, charges, "Q = [1, 2]")
    assert "symbol of an element" in polar.row("born_charges").sentence
    type_in(qtbot, charges, "O = [-5, -2]")
    assert polar.heard == [("born_charges", {"O": (-5.0, -2.0)})]


def test_the_wheel_is_left_to_the_scroll_area(form_of, qtbot) -> None:
    form = form_of(RefineSection)
    form.show()
    kinds = (StillRealBox, StillComboBox, StillSlider, QSpinBox)
    for box in (box for kind in kinds for box in form.findChildren(kind)):
        box.setFocus()
        place = box.rect().center()
        turn = QWheelEvent(
            *(QPointF(place), QPointF(box.mapToGlobal(place)), QPoint(0, 0), QPoint(0, -120)),
            *(Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False),
        )
        QApplication.sendEvent(box, turn)
        assert not turn.isAccepted()
    assert form.heard == []
    assert all(form.row(name).editor.value() == getattr(form.section, name) for name in RefineSection.model_fields)


def test_sentences_are_shown_whole(qtbot) -> None:
    form = MaterialForm()
    qtbot.addWidget(form)
    form.resize(360, 400)
    form.show()
    type_in(qtbot, form.row("name").findChild(QLineEdit), "KTO")
    QApplication.processEvents()
    told = next(label for label in form.row("name").findChildren(QLabel) if "KTO" in label.text())
    assert told.height() >= told.heightForWidth(told.width())


def test_crystals(qtbot) -> None:
    form = MaterialForm()
    qtbot.addWidget(form)
    heard = []
    form.changed.connect(lambda name, value: heard.append((name, value)))
    form.show_values(MaterialSection(name="BaTiO3", zone="001"))
    assert heard == []
    name, zone = (form.row(one).findChild(QLineEdit) for one in ("name", "zone"))
    box = form.row("zone").findChild(StillComboBox)
    assert [box.itemText(i) for i in range(box.count())] == ["001", "1-10", "11-2"]
    type_in(qtbot, zone, "11-2")
    type_in(qtbot, name, "KTO")
    assert "KTaO3" in form.row("name").sentence and "it stays BaTiO3" in form.row("name").sentence
    type_in(qtbot, name, "KTaO3")
    type_in(qtbot, zone, "1-1")
    assert "three indices" in form.row("zone").sentence
    assert heard == [("zone", "11-2"), ("name", "KTaO3")]
    form.described = "LaTiO3"
    type_in(qtbot, name, "LaTiO3")
    assert heard[-1] == ("name", "LaTiO3")
