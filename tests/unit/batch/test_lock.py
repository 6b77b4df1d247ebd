"""One run at a time in one folder."""

import json
import os
import subprocess
import sys

import pytest

from stemdisp.batch import lock
from stemdisp.batch.lock import LOCK, locked
from stemdisp.errors import StemdispError


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def holder(**changes):
    return json.dumps({**lock._ours(), **changes})


def test_the_lock_is_there_during_the_block_only(tmp_path):
    with locked(tmp_path / "new" / "out"):
        assert json.loads((tmp_path / "new" / "out" / LOCK).read_text())["pid"] == os.getpid()
    assert not (tmp_path / "new" / "out" / LOCK).exists()


def test_two_at_once_are_refused(tmp_path):
    with locked(tmp_path):
        with pytest.raises(BlockingIOError, match=f"process {os.getpid()}"), locked(tmp_path):
            pass
        assert (tmp_path / LOCK).exists()


@pytest.mark.parametrize("pid", [os.getppid(), 1])
def test_a_live_process_keeps_its_lock(tmp_path, pid):
    (tmp_path / LOCK).write_text(holder(pid=pid))
    with pytest.raises(BlockingIOError), locked(tmp_path):
        pass


def test_another_machine_keeps_its_lock(tmp_path):
    (tmp_path / LOCK).write_text(holder(host="elsewhere", pid=dead_pid()))
    with pytest.raises(BlockingIOError, match="elsewhere"), locked(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}", '{"pid": "x"}'])
def test_a_damaged_lock_is_taken_over(tmp_path, content):
    (tmp_path / LOCK).write_text(content if content != '{"pid": "x"}' else holder(pid="x"))
    with locked(tmp_path):
        pass


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    (tmp_path / LOCK).write_text(holder(pid=dead_pid()))
    with locked(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_lock_from_before_the_machine_started_is_taken_over(tmp_path, monkeypatch):
    (tmp_path / LOCK).write_text(holder(pid=os.getppid(), boot="before"))
    monkeypatch.setattr(lock, "_boot", lambda: "now")
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StemdispError, match="cannot be written"), locked(tmp_path / "file" / "out"):
        pass
