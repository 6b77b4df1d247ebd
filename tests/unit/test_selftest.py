"""The trial that a user runs on a machine of their own."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from stemdisp import selftest
from stemdisp.cli import app
from stemdisp.selftest import Verdict


@pytest.mark.slow
def test_every_promise_is_kept_here() -> None:
    done = CliRunner().invoke(app, ["selftest"])
    print(done.stdout)
    assert done.exit_code == 0, done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) >= 10 and all(line.startswith("yes ") for line in lines[:-1])
    for zone in ("[001]", "[1-10]"):
        assert sum(zone in line for line in lines) == 3


def test_a_broken_promise_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Verdict("this", "1", "1", True), Verdict("that", "2", "1", False)]
    monkeypatch.setattr(selftest, "verdicts", lambda: iter(found))
    done = CliRunner().invoke(app, ["selftest"])
    assert done.exit_code == 1 and "NO   that: 2 (wanted: 1)" in done.stdout and "is broken" in done.stdout
