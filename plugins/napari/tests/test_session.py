"""The session without a window: what is stale, what is undone, and that its numbers are those of the core."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import stemdisp
from napari_stemdisp.session import Session
from napari_stemdisp.steps import BY_KEY, STEPS
from stemdisp import Analysis, Micrograph, entry_for
from stemdisp.pipeline import STAGES
from stemdisp.scene import Edge, Motion, Scene, View


@cache
def image() -> Micrograph:
    """A small interface."""
    scene = Scene(
        view=View(shape=(230, 330), pixel_size_pm=(14.0, 14.0)), edge=Edge(offset_A=4.0), motion=Motion(parallel_pm=20)
    )
    return stemdisp.simulate(scene.facing(90))[0]


def run(session: Session, last: str = "polarization") -> list[str]:
    """Run what is due, and take it; returns the stages."""
    found = list(session.work(last))
    if found:
        session.take(found[-1][1])
    return [stage for stage, _ in found]


@pytest.fixture
def session() -> Session:
    opened = Session()
    opened.open(image())
    return opened


@cache
def _finished() -> Analysis:
    session = Session()
    session.open(image())
    run(session)
    assert session.analysis
    return session.analysis


@pytest.fixture
def done() -> Iterator[Session]:
    """A session in which all steps ran."""
    analysis = _finished()
    opened = Session()
    opened.open(analysis.micrograph, (), analysis)
    yield opened


def test_the_steps_stand_for_all_stages_once_and_in_order() -> None:
    assert [stage for step in STEPS for stage in step.stages] == list(STAGES)


def test_every_form_shows_a_section_that_a_stage_of_its_step_depends_on() -> None:
    for step in STEPS[1:-1]:
        used = {section for stage in step.stages for section in STAGES[stage][1]}
        assert set(step.sections) <= used


def test_steps_run_one_by_one_and_each_only_once(session: Session) -> None:
    ran = [run(session, step.key) for step in STEPS[1:-1]]
    assert ran == [list(step.stages) for step in STEPS[1:-1]]
    assert not session.stale and run(session) == []
    for step in STEPS[:-1]:
        assert session.state(step) == "done" and session.number(step)


def test_numbers_are_those_of_the_core_bit_for_bit(done: Session) -> None:
    expected = stemdisp.analyse(image(), session_recipe())
    assert done.analysis and done.analysis.columns and expected.columns
    np.testing.assert_array_equal(done.analysis.columns.xy, expected.columns.xy)
    assert done.analysis.displacement and expected.displacement
    np.testing.assert_array_equal(done.analysis.displacement.uv, expected.displacement.uv)


def session_recipe() -> stemdisp.Recipe:
    return stemdisp.recipe_for("KTaO3", "1-10")


def test_only_stale_steps_run_again(done: Session) -> None:
    assert done.set_value("layers", "minimum_cells", 2)
    assert done.state(BY_KEY["displacement"]) == "done" and done.state(BY_KEY["polarization"]) == "stale"
    assert run(done) == list(STAGES)[list(STAGES).index("vacancies") :]


def test_a_value_out_of_range_is_said_and_changes_nothing(done: Session) -> None:
    said: list[str] = []
    done.said.connect(lambda sentence, kind: said.append(sentence))
    before = done.recipe
    assert not done.set_value("find", "threshold", 7.0)
    assert done.recipe is before and "threshold" in said[0] and not done.stale


def test_undo_and_redo_go_through_all_changes(done: Session) -> None:
    first = done.recipe
    done.set_value("layers", "minimum_cells", 2)
    done.set_value("layers", "minimum_cells", 4)
    second = done.recipe
    done.draw_interface(np.array([[0.0, 60.0], [329.0, 60.0]]))
    assert done.undo() == "interface" and done.recipe == second
    # A slider that moved is one change, however many values it went through.
    assert done.undo() == "value layers minimum_cells" and done.recipe == first
    assert done.undo() is None
    assert done.redo() and done.redo() and done.redo() is None
    assert len(done.recipe.interfaces) == 1


def test_undo_forgets_what_lies_too_far_back(done: Session) -> None:
    for number in range(120):
        done.set_material("KTaO3" if number % 2 else "SrTiO3", "001")
    undone = 0
    while done.undo():
        undone += 1
    assert undone == 50


def test_an_edit_is_touched_up_and_replays(done: Session) -> None:
    """A moved column is fitted again where it is; the recipe, run from the beginning, says the same."""
    assert done.analysis and done.analysis.columns and done.analysis.cells
    columns = done.analysis.columns
    row = int(done.analysis.cells.moving[len(done.analysis.cells) // 2])
    assert done.add_edits([entry_for(done.analysis, "move", xy=columns.xy[row] + [1.5, 1.0], row=row)])
    ((_, touched),) = done.catch_up()
    done.take(touched)
    assert done.analysis is touched and touched.provisional and done.state(BY_KEY["refine"]) == "provisional"
    assert np.hypot(*(touched.columns.xy[row] - columns.xy[row])) < 0.1
    run(done)
    assert done.analysis and not done.analysis.provisional and not done.stale
    again = stemdisp.analyse(done.micrograph, done.recipe)
    np.testing.assert_array_equal(done.analysis.columns.xy, again.columns.xy)
    assert done.edits == 1 and done.undo() == "columns" and done.edits == 0


def test_a_result_for_another_recipe_comes_too_late(done: Session) -> None:
    found = dict(done.work("polarization")) or None
    assert found is None
    done.set_value("layers", "minimum_cells", 2)
    late = list(done.work("polarization"))[-1][1]
    done.set_value("layers", "minimum_cells", 5)
    before = done.analysis
    done.take(late)
    assert done.analysis is before


def test_an_image_from_memory_gets_a_name_that_edits_can_carry(session: Session) -> None:
    assert len(session.sha256) == 64
    other = Session()
    other.open(image())
    assert other.sha256 == session.sha256


def test_without_a_pixel_size_the_displacement_says_so() -> None:
    session = Session()
    session.open(image().with_pixel_size(None))
    run(session)
    assert "no pixel size" in session.number(BY_KEY["displacement"])
    assert session.set_value("image", "pixel_size", [14.0, 14.0])
    run(session)
    assert "pm" in session.number(BY_KEY["displacement"])


def test_the_command_line_quotes_hostile_names(session: Session) -> None:
    session.open(image(), [Path("a b; rm -rf.tif")])
    assert session.command() == "stemdisp run 'a b; rm -rf.tif' -r recipe.toml -o results"


def test_a_broken_recipe_is_a_sentence(session: Session, tmp_path: Path) -> None:
    said: list[str] = []
    session.said.connect(lambda sentence, kind: said.append(sentence))
    (tmp_path / "r.toml").write_text("[find]\nthreshhold = 3\n")
    assert not session.load_recipe(tmp_path / "r.toml") and "did you mean threshold" in said[0]
    session.save_recipe(tmp_path / "good.toml")
    session.set_value("find", "threshold", 0.4)
    assert session.load_recipe(tmp_path / "good.toml") and session.recipe.find.threshold == 0.25
