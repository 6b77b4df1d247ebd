"""Hashes that are trusted while nothing about a file has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stemdisp.batch import hashes
from stemdisp.batch.hashes import FILE, Hashes
from stemdisp.io.provenance import sha256


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read to be hashed."""
    read: list[Path] = []

    def counting(path: Path) -> str:
        read.append(path)
        return sha256(path)

    monkeypatch.setattr(hashes, "sha256", counting)
    return read


def test_a_file_is_read_once_and_remembered(tmp_path: Path, counted: list[Path]) -> None:
    file = tmp_path / "a\u00e9\udcff.tif"
    file.write_bytes(b"one")
    first = Hashes(tmp_path).of(file)
    assert Hashes(tmp_path).of(file) == first == sha256(file) and len(counted) == 1


@pytest.mark.parametrize("how", ["content", "same size and time", "replaced", "clock set back"])
def test_every_change_is_seen(tmp_path: Path, how: str) -> None:
    file, other = tmp_path / "a.tif", tmp_path / "b.tif"
    file.write_bytes(b"one")
    before = file.stat()
    Hashes(tmp_path).of(file)
    if how == "content":
        file.write_bytes(b"longer")
    elif how == "same size and time":
        file.write_bytes(b"two")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif how == "replaced":
        other.write_bytes(b"two")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(file)
    else:
        file.write_bytes(b"two")
        os.utime(file, (0, 0))
    assert Hashes(tmp_path).of(file) == sha256(file)


def test_torn_and_foreign_lines_cost_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    file.write_bytes(b"one")
    Hashes(tmp_path).of(file)
    with (tmp_path / FILE).open("a") as lines:
        lines.write("[" * 100_000 + "\n")
        lines.write('["b.tif", 1, 2\n{}\n[1,2,3,4,5,6]\nnull\n["c", "x", 1, 1, 1, "h"]\n["half')
    known = Hashes(tmp_path)
    assert known.of(file) == sha256(file) and len(known.known) == 1


def test_the_file_does_not_grow_without_end(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    for number in range(150):
        file.write_bytes(b"%d" % number)
        known = Hashes(tmp_path)
        known.of(file)
        known.close()
    assert len((tmp_path / FILE).read_text().splitlines()) < 110
    assert Hashes(tmp_path).of(file) == sha256(file)


def test_nothing_is_written_where_that_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    file.write_bytes(b"one")
    known = Hashes(tmp_path, keep=False)
    known.of(file)
    known.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_folder_that_is_one_image_is_hashed_each_time(tmp_path: Path) -> None:
    store = tmp_path / "a.zspy"
    store.mkdir()
    (store / "0").write_bytes(b"one")
    first = Hashes(tmp_path).of(store)
    (store / "0").write_bytes(b"two")
    assert Hashes(tmp_path).of(store) != first


def test_a_lost_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        Hashes(tmp_path).of(tmp_path / "none")
