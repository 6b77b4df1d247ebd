"""The recipe: every field explains itself, every mistake is one sentence, what is written is read back."""

from __future__ import annotations

import math
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import stemdisp
from stemdisp.errors import RecipeError
from stemdisp.io.recipe_toml import describe, to_toml
from stemdisp.profile_entry import ProfileEntry
from stemdisp.recipe import EditEntry, InterfaceEntry, Recipe, RegionEntry, load, parse
from stemdisp.section import OfOneImage, Section

DEFAULT = stemdisp.recipe_for("KTaO3", "1-10")

SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
FIELDS = [(section, name) for section, model in SECTIONS.items() for name in model.model_fields]
ENTRIES = {"edits": EditEntry, "interfaces": InterfaceEntry, "regions": RegionEntry, "profiles": ProfileEntry}

SHA = "0123456789abcdef" * 4
ONE_OF_EACH: dict[str, Any] = {
    "edits": [
        {"sha256": SHA, "action": "move", "site": "K", "h": 3, "k": -2, "x": 10.25, "y": 20.5},
        {"sha256": SHA, "action": "delete", "site": "Ta", "h": 0, "k": 0},
    ],
    "interfaces": [{"sha256": SHA, "line": [0.0, 50.5, 200.0, 51.25]}],
    "regions": [{"sha256": SHA, "polygon": [[0.0, 100.0], [200.0, 100.0], [200.0, 180.0]]}],
    "profiles": [
        {
            **{"sha256": SHA, "name": 'O K "edge", \u00b5', "unit": "counts"},
            **{"distance_nm": [-0.5, 1e-7, 2.0], "value": [1.0, -2.5, 1e30], "error": [0.0, 0.1, 2.0]},
        },
        {"sha256": SHA, "name": "no errors", "distance_nm": [0.0, 1.0], "value": [1.0, 2.0]},
    ],
}

BY_VALIDATOR = {"pixel_size", "line"}
"""Numbers whose range a validator checks, or that are places in the image."""

OTHER = {
    "pixel_size": [9.5, 10.5],
    "haadf_title": "Image 2",
    "abf_title": "#3",
    "bf_title": "other.tif",
    "name": "SrTiO3",
    "zone": "001",
    "line": [0.0, 50.0, 200.0, 51.0],
    "plane": "1-10",
    "born_charges": {"O": [-5.0, -2.0]},
}
"""Values other than the default of fields that are neither a choice nor one number."""


def _field(section: str, name: str) -> FieldInfo:
    return SECTIONS[section].model_fields[name]


def _choices(field: FieldInfo) -> tuple[Any, ...]:
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def _limits(field: FieldInfo) -> dict[str, float]:
    return {
        name: getattr(limit, name)
        for limit in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(limit, name)
    }


def _numeric(field: FieldInfo) -> bool:
    return bool({int, float} & {field.annotation, *get_args(field.annotation)})


def _other(section: str, name: str) -> Any:
    """A valid value that is not the default."""
    field = _field(section, name)
    default = getattr(getattr(DEFAULT, section), name)
    if name in OTHER:
        return OTHER[name]
    if choices := _choices(field):
        return next(choice for choice in choices if choice != default)
    assert _numeric(field), f"[{section}] {name}: give it another value in OTHER"
    limits = _limits(field)
    low = limits.get("ge", limits.get("gt", 0.0))
    high = limits.get("le", limits.get("lt", 1.0))
    value = next(low + part * (high - low) for part in (0.5, 0.25) if low + part * (high - low) != default)
    return math.ceil(value) if int in {field.annotation, *get_args(field.annotation)} else value


def _changed(section: str, name: str) -> Recipe:
    return DEFAULT.with_values({section: {name: _other(section, name)}})


@pytest.mark.parametrize(("section", "name"), FIELDS)
def test_every_field_says_what_it_means_its_unit_and_its_range(section: str, name: str) -> None:
    field = _field(section, name)
    assert field.description and field.description[0].isupper() and field.description.endswith(".")
    assert isinstance(field.json_schema_extra, dict) and isinstance(field.json_schema_extra.get("unit"), str)
    if _numeric(field) and name not in BY_VALIDATOR:
        assert {"ge", "gt"} & set(_limits(field)), "no lower limit"
        assert {"le", "lt"} & set(_limits(field)), "no upper limit"
    unit = str(field.json_schema_extra["unit"])
    assert describe(field).startswith(field.description) and unit in describe(field)


@pytest.mark.parametrize("model", [*SECTIONS.values(), *ENTRIES.values()])
def test_every_section_and_entry_says_what_it_is(model: type[BaseModel]) -> None:
    assert model.__doc__ and model.__doc__.strip().endswith(".")
    assert all(field.description for field in model.model_fields.values())


def test_nothing_in_it_leaves_the_numbers_alone() -> None:
    names = {name for _, name in FIELDS} | set(Recipe.model_fields)
    assert not names & {"device", "workers", "threads", "out", "output", "figures", "style", "table", "dpi"}


def test_the_json_schema_carries_meaning_and_unit() -> None:
    schema = Recipe.model_json_schema()
    threshold = schema["$defs"]["FindSection"]["properties"]["separation"]
    assert threshold["unit"] == "px" and threshold["description"]


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        DEFAULT.find.threshold = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(("section", "name"), FIELDS)
def test_a_key_with_a_slip_is_told_the_right_one(section: str, name: str) -> None:
    slip = name[:-1] + ("x" if name[-1] != "x" else "z") if len(name) > 2 else name + "x"
    with pytest.raises(RecipeError) as caught:
        parse({section: {slip: 1}}, "recipe a.toml")
    assert str(caught.value) == f"recipe a.toml: unknown key [{section}] {slip}; did you mean {name}?"


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_with_a_slip_is_told_the_right_one(section: str) -> None:
    with pytest.raises(RecipeError, match=f"unknown key {section}x; did you mean {section}\\?"):
        parse({section + "x": {}})


def test_a_key_like_no_other_is_told_all_of_them() -> None:
    with pytest.raises(RecipeError, match=r"unknown key \[find\] wavelength; known are separation, threshold"):
        parse({"find": {"wavelength": 1}})


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"find": {"threshold": 2.0}}, "[find] threshold = "),
    ({"find": {"threshold": "high"}}, "[find] threshold = "),
    ({"find": {"threshold": "a\nb"}}, "[find] threshold = "),
    ({"find": {"threshold": float("nan")}}, "[find] threshold = "),
    ({"find": 3}, "find = "),
    ({"image": {"pixel_size": [0.1, 0.1]}}, "[image] pixel_size = "),
    ({"image": {"pixel_size": [10.0]}}, "[image] pixel_size"),
    ({"material": {"name": "unobtainium"}}, "unobtainium"),
    ({"material": {"zone": "111"}}, "111"),
    ({"material": {"zone": "along the beam"}}, "along the beam"),
    ({"interface": {"plane": "0"}}, "0"),
    ({"edits": 3}, "edits"),
    ({"edits": [{"sha256": "abc", "action": "delete", "site": "K", "h": 0, "k": 0}]}, "[edits] 0 sha256 = 'abc'"),
    ({"edits": [{"sha256": SHA, "action": "move", "site": "K", "h": 0, "k": 0}]}, "a move needs x and y"),
    ({"edits": [{"sha256": SHA, "action": "add", "site": "K", "h": 0, "k": 0, "x": 1}]}, "an add needs x and y"),
    (
        {"edits": [{"sha256": SHA, "action": "reassign", "site": "K", "h": 0, "k": 0, "to_site": "Ta"}]},
        "a reassign needs to_site, to_h and to_k",
    ),
    (
        {"edits": [{"sha256": SHA, "action": "add", "site": "K", "h": 0, "k": 0, "x": float("nan"), "y": 1}]},
        "must be finite",
    ),
    ({"edits": [{"sha256": SHA, "action": "delete", "site": "K", "h": 10**30, "k": 0}]}, "[edits] 0 h = "),
    ({"edits": [{"sha256": SHA, "action": "hide", "site": "K", "h": 0, "k": 0}]}, "[edits] 0 action = 'hide'"),
    ({"regions": [{"sha256": SHA, "polygon": [[0, 0], [1, 1]]}]}, "[regions] 0 polygon"),
    *(
        ({"profiles": [{"sha256": SHA, "name": "O", "distance_nm": [0, 1], "value": [1, 2], **wrong}]}, named)
        for wrong, named in (
            ({"value": [1, 2, 3]}, "[profiles] 0: columns of unequal length: 2 distances, 3 values"),
            ({"error": [1]}, "[profiles] 0: columns of unequal length: 2 distances, 2 values, 1 errors"),
            ({"distance_nm": [0]}, "[profiles] 0 distance_nm"),
            ({"distance_nm": [1, 1]}, "distances do not rise: 1 nm in row 2 follows 1 nm"),
            ({"value": [1, float("nan")]}, "[profiles] 0 value 1 = 'nan'"),
            ({"value": [1, "high"]}, "[profiles] 0 value 1 = 'high'"),
            ({"value": [1, 1e200]}, "[profiles] 0 value 1"),
            ({"error": [1, -1]}, "the error in row 2 is negative"),
            ({"name": ""}, "[profiles] 0 name"),
            ({"values": [1, 2]}, "did you mean value?"),
        )
    ),
    ({"format": 2}, "format = "),
]


@pytest.mark.parametrize(("values", "named"), WRONG, ids=[str(values)[:60] for values, _ in WRONG])
def test_a_mistake_is_one_sentence_that_names_file_and_place(values: dict[str, Any], named: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(values, "recipe a.toml")
    sentence = str(caught.value)
    assert sentence.startswith("recipe a.toml: ") and named in sentence
    assert "\n" not in sentence and len(sentence) < 400


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*Recipe.model_fields, "threshold", "tolerance", "x"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_values_make_a_recipe_or_one_sentence(values: Any) -> None:
    try:
        found = parse(values if isinstance(values, dict) else {"find": values})
    except RecipeError as error:
        assert "\n" not in str(error) and str(error).startswith("recipe")
    else:
        assert isinstance(found, Recipe)


def test_files_that_are_no_recipe_end_in_one_sentence(tmp_path: Path) -> None:
    binary, text = tmp_path / "image.tif", tmp_path / "notes.txt"
    binary.write_bytes(b"II*\0\xff\xfe")
    text.write_text("a recipe\nof two lines", encoding="utf-8")
    for path in (tmp_path / "absent.toml", tmp_path, binary, text):
        with pytest.raises(RecipeError) as caught:
            load(path)
        assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_the_digest_is_the_same_in_another_process_and_order() -> None:
    other = parse({"layers": {"minimum_cells": 3}, "material": {"zone": "1-10", "name": "KTaO3"}})
    assert other == DEFAULT and other.digest() == DEFAULT.digest()
    code = "import stemdisp; print(stemdisp.recipe_for('KTaO3', '1-10').digest())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == DEFAULT.digest()
    assert len(DEFAULT.digest()) == 12


@pytest.mark.parametrize(("section", "name"), FIELDS)
def test_every_value_counts_in_the_digest_and_comes_back_from_toml(section: str, name: str, tmp_path: Path) -> None:
    changed = _changed(section, name)
    assert changed.digest() != DEFAULT.digest()
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(changed), encoding="utf-8")
    assert load(path) == changed
    assert stemdisp.load_recipe(path).digest() == changed.digest()


def test_entries_of_single_images_come_back_from_toml(tmp_path: Path) -> None:
    recipe = parse({**DEFAULT.model_dump(mode="json"), **ONE_OF_EACH})
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    assert load(path) == recipe
    assert all(isinstance(entry, OfOneImage) for name in ENTRIES for entry in getattr(recipe, name))
    assert recipe.digest() != DEFAULT.digest()


def test_the_toml_explains_every_field() -> None:
    text = to_toml(DEFAULT)
    for section, name in FIELDS:
        field = _field(section, name)
        assert f"# {describe(field)}\n" in text
        assert f"\n{name} = " in text or f"\n# {name} =" in text
    assert tomllib.loads(text)["material"] == {"name": "KTaO3", "zone": "1-10"}
    assert DEFAULT.digest() in text.splitlines()[0]


def test_a_profile_takes_the_place_of_the_one_of_its_name_on_its_image() -> None:
    first, second = (ProfileEntry.model_validate(values) for values in ONE_OF_EACH["profiles"])
    recipe = DEFAULT.with_profile(first).with_profile(second)
    assert recipe.profiles == (first, second) and DEFAULT.profiles == ()
    corrected = first.model_copy(update={"value": (3.0, 2.0, 1.0)})
    assert recipe.with_profile(corrected).profiles == (second, corrected)
    elsewhere = corrected.model_copy(update={"sha256": "f" * 64})
    assert recipe.with_profile(elsewhere).profiles == (first, second, elsewhere)
    assert parse(recipe.model_dump(mode="json")) == recipe and recipe.digest() != DEFAULT.digest()
