"""The driver with real worker processes, whose work is to misbehave."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import odd_work
import pytest

from stemdisp import recipe_for
from stemdisp.batch import run
from stemdisp.batch.job import Options, exit_code
from stemdisp.batch.log import FILE
from stemdisp.batch.run import STATE, Terms, run_sets
from stemdisp.io.pairs import ImageSet

RECIPE = recipe_for("KTaO3", "001")


def sets(folder: Path, *names: str) -> list[ImageSet]:
    """Image sets with files that nobody reads."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.tif").write_bytes(b"x")
    return [ImageSet(name, (folder / f"{name}.tif",)) for name in names]


@pytest.fixture(autouse=True)
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "work", odd_work.by_name)


def outcomes(tmp_path: Path, *names: str, stop: threading.Event | None = None, **terms):
    terms = {"jobs": 2, "memory": 1 << 30, **terms}
    found = run_sets(
        sets(tmp_path / "in", *names), RECIPE, tmp_path / "out", Options("cpu"), terms=Terms(**terms), stop=stop
    )
    return {outcome.name: outcome for outcome in found}


def events(tmp_path: Path):
    return [json.loads(line) for line in (tmp_path / "out" / STATE / FILE).read_text().splitlines()]


def failure(tmp_path: Path, name: str):
    return json.loads((tmp_path / "out" / name / "failure.json").read_text())


def test_each_bad_one_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "READ_SECONDS", 2.0)
    names = ("a", "exit", "crash", "greedy", "hang", "slow", "raise", "b", "once", "c")
    found = outcomes(tmp_path, *names, timeout_s=20.0)
    assert {name for name, one in found.items() if one.status == "done"} == {"a", "b", "c", "once"}
    kinds = {name: one.kind for name, one in found.items() if one.status == "failed"}
    assert kinds == {
        "exit": "ProcessDiedError",
        "crash": "ProcessDiedError",
        "greedy": "MemoryError",
        "hang": "TimeLimitError",
        "slow": "TimeLimitError",
        "raise": "ProcessDiedError",
    }
    assert found["hang"].sentence == "read: reading took more than 2 s; the file is damaged, or its disk too slow"
    assert found["slow"].sentence == "refine: took more than the 20 s allowed (--timeout)"
    assert "exit code 3" in found["exit"].sentence and "SIGSEGV" in found["crash"].sentence
    assert "--max-memory" in found["greedy"].sentence
    assert exit_code(list(found.values())) == 1
    # A failure of the image stands; a process that died may have been another's fault.
    assert failure(tmp_path, "slow")["key"]
    assert failure(tmp_path, "exit")["key"] is failure(tmp_path, "greedy")["key"] is None
    assert [one["image"] for one in events(tmp_path) if one["event"] == "again"].count("once") == 1
    assert {one["event"] for one in events(tmp_path)} == {"run", "begin", "again", "end", "over"}


def test_a_stopped_batch_ends_what_runs_and_begins_nothing(tmp_path: Path) -> None:
    stop = threading.Event()
    found = run_sets(
        sets(tmp_path / "in", *(f"nap{n}" for n in range(12))),
        RECIPE,
        tmp_path / "out",
        Options("cpu"),
        terms=Terms(jobs=2),
        stop=stop,
    )
    first = next(found)
    stop.set()
    rest = list(found)
    assert first.status == "done" and all(one.status == "done" for one in rest) and len(rest) <= 3
    assert events(tmp_path)[-1]["event"] == "stopped"


def test_limit_and_fail_fast_begin_no_more(tmp_path: Path) -> None:
    names = [f"nap{n}" for n in range(6)]
    assert len(outcomes(tmp_path, *names, limit=2)) == 2
    found = outcomes(tmp_path, "exit", *names, fail_fast=True)
    assert found["exit"].status == "failed" and len(found) < 7


def test_workers_are_few_and_end_with_the_batch(tmp_path: Path) -> None:
    found = outcomes(tmp_path, *(f"image{n}" for n in range(20)))
    pids = {int(one.sentence) for one in found.values()}
    assert len(pids) <= 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_leaving_the_batch_kills_what_runs(tmp_path: Path) -> None:
    found = run_sets(sets(tmp_path / "in", "a", "slow"), RECIPE, tmp_path / "out", Options("cpu"), terms=Terms(jobs=2))
    assert next(found).name == "a"
    began = time.monotonic()
    found.close()
    assert time.monotonic() - began < 60
    assert not (tmp_path / "out" / "slow").exists()
