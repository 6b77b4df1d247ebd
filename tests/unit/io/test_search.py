"""Which files a batch takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemdisp.errors import ReadError
from stemdisp.io.pairs import group_inputs
from stemdisp.io.search import Search


def labels(folder: Path, **search) -> list[str]:
    return [one.label for one in group_inputs([folder], Search(**search))]


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A day at the microscope."""
    names = (
        "a.tif",
        "b_HAADF.tif",
        "b_ABF.tif",
        "notes.txt",
        ".hidden.tif",
        "sub/a.tif",
        "sub/deep/c.dm4",
        ".git/d.tif",
    )
    for name in (*names, "out/a/x.tif", "old/a/result.json", "old/a/y.tif"):
        (tmp_path / "day" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "day" / name).write_bytes(b"")
    return tmp_path / "day"


def test_folders_are_searched_only_when_asked(day: Path) -> None:
    assert labels(day) == ["a", "b"]
    assert labels(day, recursive=True, output=day / "out") == ["a", "b", "sub/a", "sub/deep/c"]


def test_results_go_where_the_images_lie(day: Path) -> None:
    found = {one.label: one.paths for one in group_inputs([day / "sub"], Search(recursive=True))}
    assert found == {"a": (day / "sub/a.tif",), "deep/c": (day / "sub/deep/c.dm4",)}


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*.TIF",), (), ["a", "b", "sub/a"]),
        (("sub/*",), (), ["sub/a", "sub/deep/c"]),
        ((), ("*ABF*",), ["a", "b_HAADF", "sub/a", "sub/deep/c"]),
        (("*.tif", "*.dm4"), ("a.*",), ["b", "sub/deep/c"]),
        (("*.png",), (), []),
    ],
)
def test_patterns(day: Path, include, exclude, expected) -> None:
    assert labels(day, recursive=True, include=include, exclude=exclude, output=day / "out") == expected


def test_a_pattern_for_a_path(day: Path) -> None:
    assert [one.label for one in group_inputs([day / "*.tif"])] == ["a", "b"]
    assert [one.label for one in group_inputs([day / "**" / "c.*"])] == ["c"]
    with pytest.raises(ReadError, match="no such file or folder"):
        group_inputs([day / "*.png"])


def test_a_file_named_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].tif").write_bytes(b"")
    (tmp_path / "a1.tif").write_bytes(b"")
    assert [one.label for one in group_inputs([tmp_path / "a[1].tif"])] == ["a[1]"]


def test_an_image_named_like_a_folder_of_images_keeps_its_extension(tmp_path: Path) -> None:
    for name in ("x.tif", "X/y.tif", "X/z/w.tif", "X/z.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert labels(tmp_path, recursive=True) == ["x.tif", "X/y", "X/z.tif", "X/z/w"]


def test_links_are_not_followed_out_nor_in_circles(day: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.tif").write_bytes(b"")
    (day / "out.tif").symlink_to(tmp_path / "elsewhere" / "secret.tif")
    (day / "away").symlink_to(tmp_path / "elsewhere")
    (day / "sub" / "round").symlink_to(day)
    (day / "inside.tif").symlink_to(day / "sub" / "a.tif")
    assert labels(day, recursive=True, output=day / "out") == ["a", "b", "inside", "sub/a", "sub/deep/c"]
