"""A batch over hostile files beside good images, in processes of its own: each file ends in one sentence."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tifffile
from hostile import MARK, write_hostile
from image_files import write_hspy, write_seeds

import stemdisp
from stemdisp.batch.job import Options
from stemdisp.batch.run import Terms, run_sets
from stemdisp.io.pairs import group_inputs
from stemdisp.io.read import read
from stemdisp.scene import Scene, View

MEMORY = 1_500_000_000
"""Bytes that a worker may take; some files claim nearly as much, or more."""

pytestmark = pytest.mark.slow


def write_good(folder: Path) -> list[Path]:
    """The same 200 x 200 pixels of KTaO3 as TIFF and as HyperSpy's file, called as no other file is."""
    pixels = stemdisp.simulate(Scene(view=View(shape=(200, 200))))[0].signals["HAADF"].image
    path = folder / "good-1.tif"
    tifffile.imwrite(path, pixels, imagej=True, resolution=(100, 100), metadata={"unit": "nm"})
    return [path, write_hspy(folder / "good-2.hspy", ("HAADF", pixels))]


def _children(of: int) -> Iterator[int]:
    """Processes below one, as Linux lists them."""
    for task in Path(f"/proc/{of}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from _children(child)


@contextmanager
def watched() -> Iterator[dict[int, int]]:
    """The most memory in bytes that each process below this one had during the block; empty where nobody says."""
    peaks: dict[int, int] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            try:
                for process in _children(os.getpid()):
                    for line in Path(f"/proc/{process}/status").read_text().splitlines():
                        if line.startswith("VmHWM"):
                            peaks[process] = int(line.split()[1]) * 1024
            except OSError:  # it ended meanwhile
                continue

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield peaks
    over.set()
    thread.join()


def test_what_is_damaged_was_whole(tmp_path: Path) -> None:
    for path in write_seeds(tmp_path / "seeds").values():
        found = read(path)
        assert (found.pixel_size is None) is (path.name in ("array.npy", "deflated.tif")), path.name


def test_every_file_ends_in_one_sentence(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    good, bad = write_good(folder), write_hostile(folder)
    assert len(bad) > 250
    sets = group_inputs([*list(bad)[:150], *good, *list(bad)[150:]])
    files = {one.label: one.paths[0] for one in sets}
    recipe = stemdisp.recipe_for("KTaO3", "1-10")
    with watched() as peaks:
        outcomes = list(run_sets(sets, recipe, out, Options(figures=False), terms=Terms(jobs=2, memory=MEMORY)))
    assert sorted(outcome.name for outcome in outcomes) == sorted(files)
    for outcome in outcomes:
        path = files[outcome.name]
        if path in good:
            assert outcome.status == "done" and (outcome.folder / "result.json").is_file(), outcome
            continue
        assert outcome.status == "failed" and outcome.kind in bad[path], outcome
        assert outcome.sentence.isprintable() and "unexpected" not in outcome.sentence, outcome
        assert [one.name for one in outcome.folder.iterdir()] == ["failure.json"]
    assert '"again"' not in (out / ".stemdisp" / "log.jsonl").read_text(encoding="utf-8")
    assert not list(tmp_path.rglob(MARK)) and not list(tmp_path.rglob("*escaped*"))
    if Path(f"/proc/{os.getpid()}/task").is_dir():
        assert peaks and max(peaks.values()) < MEMORY, peaks
    shutil.rmtree(folder)
