"""Profiles measured elsewhere: what spreadsheets and microscopes write is read, and all else is one sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stemdisp
from stemdisp.errors import RecipeError
from stemdisp.io.external import read_profile
from stemdisp.model.analysis import Analysis

GOOD = 'distance (nm),"Ti3+ share, EELS (%)",error,remark\n-0.5,1.5,0.2,film\n0.25,2.5,0.3,\n1e0,-3,0.1,x\n'


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.tif"
    path.write_bytes(b"an image")
    return path


@pytest.fixture
def file(tmp_path: Path):
    def write(content: str | bytes, encoding: str = "utf-8") -> Path:
        path = tmp_path / "EELS.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def test_header_and_first_three_columns_are_the_entry(file, image) -> None:
    entry = read_profile(file(GOOD), image)
    assert (entry.name, entry.unit) == ("Ti3+ share, EELS", "%")
    assert entry.distance_nm == (-0.5, 0.25, 1.0)
    assert entry.value == (1.5, 2.5, -3.0)
    assert entry.error == (0.2, 0.3, 0.1)
    assert entry.sha256 == stemdisp.io.provenance.sha256(image)


def test_a_micrograph_says_which_file_it_is(file, kto: Analysis) -> None:
    assert read_profile(file(GOOD), kto.micrograph).sha256 == kto.micrograph.inputs[0].sha256
    with pytest.raises(RecipeError, match="comes from no file"):
        read_profile(file(GOOD), replace(kto.micrograph, inputs=()))
    with pytest.raises(RecipeError, match="cannot be read"):
        read_profile(file(GOOD), "absent.tif")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    "text",
    [
        "distance;O K edge (\u00b5A);error\n0;1,5;0,1\n0,5;2;0,2\n",
        "distance\tO K edge (\u00b5A)\terror\n0\t1.5\t0.1\n0.5\t2\t0.2\n",
        "distance,O K edge [\u00b5A],error\r\n0,1.5,0.1\r\n\r\n0.5,2,0.2\r\n,,\r\n",
        "# from a line scan\ndistance_nm,O K edge (\u00b5A),error\n# row 1\n0,1.5,.1\n0.5,+2.,2e-1",
        "# from a line scan\n# distance,O K edge (\u00b5A),error\n0, 1.5, 0.1\n0.5, 2, 0.2\n",
        'distance,"O K edge (\u00b5A)",error,,\n0,"1.5",0.1,,\n0.5,2,0.2,,\n',
    ],
    ids=["semicolon", "tab", "crlf", "comment", "header in a comment", "empty columns"],
)
def test_dialects(file, image, text, encoding) -> None:
    entry = read_profile(file(text, encoding), image)
    assert (entry.name, entry.unit) == ("O K edge", "\u00b5A")
    assert (entry.distance_nm, entry.value, entry.error) == ((0.0, 0.5), (1.5, 2.0), (0.1, 0.2))


def test_errors_may_be_missing_and_a_label_too(file, image) -> None:
    for text in ("d,v\n0,1\n1,2\n", "d,v,error\n0,1,\n1,2,\n", "d,v,error\n0,1\n1,2\n"):
        assert read_profile(file(text), image).error == ()
    assert read_profile(file("d,(counts)\n0,1\n1,2\n"), image).name == "EELS"


def test_a_minus_of_a_typesetter_is_one(file, image) -> None:
    assert read_profile(file("d,v\n\u22121,1\n0,2\n"), image).distance_nm == (-1.0, 0.0)


H = "distance (nm),O K edge,error\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("\n\n# nothing\n", "is empty"),
        (b"PK\3\4\0\0", "is no text"),
        (b"\xff\xfea", "is no text"),
        (b"\x81\x8d\xff", "is no text"),
        (b"d,v\n" + b"0,1\n" * 300000, "larger than 1 MiB"),
        ("0,1,2\n1,2,3\n", "has no header"),
        ("# made yesterday\n0,1,2\n1,2,3\n", "has no header"),
        ("distance value\n0 1\n1 2\n", "one column only"),
        (H, "0 rows of numbers"),
        (H + "0,1,2\n", "1 rows of numbers"),
        (H + "0,1,2\n" * 10001, "10001 rows"),
        (H + "0,1,2\n1,,2\n2,3,2\n", "unequal length: 2 numbers of value in 3 rows; line 3 has none"),
        (H + "0,1,2\n1,2,2\n2\n3\n", "unequal length: 2 numbers of value in 4 rows; line 4 has none"),
        (H + "0,1,2\n,2,2\n", "numbers of distance in 2 rows"),
        (H + "0,1,2\n1,2,\n2,3,1\n", "unequal length: 2 numbers of error in 3 rows; line 3"),
        (H + "0,1,2\n1,high,2\n", "line 3: value 'high' is not a number"),
        (H + "0,1,2\n1,nan,2\n", "value 'nan' is not a number"),
        (H + "0,1,2\n1,-inf,2\n", "value '-inf' is not a number"),
        (H + "0,1,2\n1,1e999,2\n", "EELS.csv value 1 = 'inf'"),
        (H + "0,1,2\n1,1_0,2\n", "'1_0' is not a number"),
        (H + '0,1,2\n1,"1,5",2\n', "'1,5' is not a number"),
        (H + "0,1,5,2,5\n1,1,5,2,5\n", "line 2 has 5 columns and the header 3; with decimal commas"),
        (H + "0,1,2\n1,2,-0.5\n", "error in row 2 is negative"),
        (H + "1,1,2\n0,2,2\n", "distances do not rise: 0 nm in row 2 follows 1 nm"),
        (H + "0,1,2\n0,2,2\n", "distances do not rise"),
        ("distance (\u00c5),v\n0,1\n1,2\n", "give the distance from the interface in nm"),
        ("distance_pm,v\n0,1\n1,2\n", "give the distance from the interface in nm"),
        ("position [px],v\n0,1\n1,2\n", "give the distance from the interface in nm"),
        (H + "0," + "1" * 200000 + ",2\n1,1,1\n", "line 2 is no line of a table"),
    ],
)
def test_what_is_wrong_is_one_sentence(file, image, content, sentence) -> None:
    with pytest.raises(RecipeError) as caught:
        read_profile(file(content), image)
    said = str(caught.value)
    assert sentence in said and "EELS.csv" in said
    assert "\n" not in said and len(said) < 400


def test_files_that_are_not_there(tmp_path: Path, image: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(RecipeError, match="cannot be read"):
            read_profile(path, image)


def test_hostile_labels_are_one_short_line(file, image) -> None:
    text = f'd,"<script>\x1b[31m $\\frac{{a}}$ {"x" * 500}"\n0,1\n1,2\n'
    name = read_profile(file(text), image).name
    assert len(name) <= 100 and name.isprintable()


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_profile_or_one_sentence(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(content)
    for prefix in (b"", b"d,v\n", b"d;v;e\n0;1;0\n"):
        path.write_bytes(prefix + content)
        try:
            read_profile(path, path)
        except RecipeError as error:
            assert "\n" not in str(error)
