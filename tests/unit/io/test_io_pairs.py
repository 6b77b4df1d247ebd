"""Which files belong together, and what their result folders are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemdisp.errors import ReadError
from stemdisp.io.pairs import common_name, group_inputs


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return [folder / name for name in names]


def grouped(*paths: Path) -> dict[str, list[str]]:
    return {one.name: [path.name for path in one.paths] for one in group_inputs(paths)}


def test_folder(tmp_path: Path) -> None:
    touch(tmp_path, "b10.tif", "b2.tif", "KTO_ABF.tif", "KTO_HAADF.tif", "notes.txt", ".hidden.tif", "a.DM4", "x.TIFF")
    touch(tmp_path / "inside", "deep.tif")
    assert grouped(tmp_path) == {
        "a": ["a.DM4"],
        "b2": ["b2.tif"],
        "b10": ["b10.tif"],
        "KTO": ["KTO_HAADF.tif", "KTO_ABF.tif"],
        "x": ["x.TIFF"],
    }
    assert list(grouped(tmp_path)) == ["a", "b2", "b10", "KTO", "x"]


def test_case_and_adf(tmp_path: Path) -> None:
    assert grouped(*touch(tmp_path, "kto_adf.tif", "KTO_Abf.dm4")) == {"kto": ["kto_adf.tif", "KTO_Abf.dm4"]}


def test_alone_keeps_its_stem(tmp_path: Path) -> None:
    assert grouped(*touch(tmp_path, "KTO_HAADF.tif", "PTO_ABF.tif")) == {
        "KTO_HAADF": ["KTO_HAADF.tif"],
        "PTO_ABF": ["PTO_ABF.tif"],
    }


def test_haadf_goes_before_adf(tmp_path: Path) -> None:
    found = grouped(*touch(tmp_path, "a_ADF.tif", "a_HAADF.tif", "a_ABF.tif"))
    assert found == {"a_ADF": ["a_ADF.tif"], "a": ["a_HAADF.tif", "a_ABF.tif"]}


def test_two_formats_make_two_pairs(tmp_path: Path) -> None:
    found = grouped(*touch(tmp_path, "a_HAADF.tif", "a_HAADF.dm4", "a_ABF.dm4", "a_ABF.tif"))
    assert found == {"a.tif": ["a_HAADF.tif", "a_ABF.tif"], "a.dm4": ["a_HAADF.dm4", "a_ABF.dm4"]}


def test_pairs_do_not_cross_folders(tmp_path: Path) -> None:
    first, second = touch(tmp_path / "one", "a_HAADF.tif"), touch(tmp_path / "two", "a_ABF.tif")
    assert set(grouped(*first, *second)) == {"a_HAADF", "a_ABF"}


def test_collisions_keep_the_extension(tmp_path: Path) -> None:
    assert set(grouped(*touch(tmp_path, "a.tif", "A.dm4", "b.tif"))) == {"a.tif", "A.dm4", "b"}


def test_collisions_across_folders(tmp_path: Path) -> None:
    one, two = touch(tmp_path / "one", "a.tif"), touch(tmp_path / "two", "a.tif")
    assert set(grouped(*one, *two)) == {"one_a.tif", "two_a.tif"}


def test_pair_and_single_of_one_name(tmp_path: Path) -> None:
    found = grouped(*touch(tmp_path, "a.tif", "a_HAADF.tif", "a_ABF.tif"))
    assert len(found) == 3 - 1
    assert len({name.casefold() for name in found}) == 2


def test_each_file_once(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "a.tif")
    assert grouped(path, tmp_path, tmp_path / "." / "a.tif") == {"a": ["a.tif"]}


def test_links_that_leave_are_refused(tmp_path: Path) -> None:
    (secret,) = touch(tmp_path / "outside", "secret.tif")
    touch(tmp_path / "inside", "a.tif")
    (tmp_path / "inside" / "b.tif").symlink_to(secret)
    (tmp_path / "inside" / "c.tif").symlink_to(tmp_path / "inside" / "a.tif")
    (tmp_path / "inside" / "loop.tif").symlink_to(tmp_path / "inside" / "loop.tif")
    assert set(grouped(tmp_path / "inside")) == {"a", "c"}


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no such file or folder"):
        group_inputs([tmp_path / "none"])
    assert group_inputs([tmp_path]) == []


def test_dots_name_no_folder(tmp_path: Path) -> None:
    for name in grouped(*touch(tmp_path, "...tif", "....tif", ". .tif")):
        assert os.path.basename(name) == name and name.strip(". ")


@given(
    st.lists(st.from_regex(r"[abA]{1,2}(_(HAADF|ABF|adf))?(_a)?\.(tif|dm4)", fullmatch=True), max_size=8, unique=True)
)
def test_names_are_unique_and_no_file_is_lost(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("files")
    files = touch(folder, *names)
    sets = group_inputs(files)
    assert sorted(path for one in sets for path in one.paths) == sorted(files)
    assert len({one.name.casefold() for one in sets}) == len(sets)


def test_detector_in_the_middle(tmp_path: Path) -> None:
    touch(tmp_path, "test_ADF_cropped.hdf5", "test_ABF_cropped.hdf5", "test_ABF_other.hdf5", "HAADF_3.tif", "ABF_3.tif")
    assert grouped(tmp_path) == {
        "test_cropped": ["test_ADF_cropped.hdf5", "test_ABF_cropped.hdf5"],
        "test_ABF_other": ["test_ABF_other.hdf5"],
        "3": ["HAADF_3.tif", "ABF_3.tif"],
    }


def test_only_whole_words_in_one_place(tmp_path: Path) -> None:
    names = ["aHAADF_1.tif", "aABF_1.tif", "b_HAADF_1.tif", "b_1_ABF.tif", "c_ABF_ADF.tif", "c_ABF_ABF.tif"]
    assert len(grouped(*touch(tmp_path, *names))) == len(names)


def test_the_middle_and_the_end_do_not_share_a_name(tmp_path: Path) -> None:
    found = grouped(*touch(tmp_path, "a_HAADF_1.tif", "a_ABF_1.tif", "a_1_HAADF.tif", "a_1_ABF.tif"))
    assert sorted(map(len, found.values())) == [2, 2] and len({name.casefold() for name in found}) == 2


def test_common_name() -> None:
    assert common_name(["a_HAADF"]) == "a_HAADF"
    assert common_name(["a_HAADF", "b_ABF"]) == "a_HAADF"
    assert common_name(["a_1 HAADF", "a_1-abf"]) == "a_1"
    assert common_name(["a_HAADF_1", "a_1_ABF"]) == "a_HAADF_1"
