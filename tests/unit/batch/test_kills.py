"""A batch that is killed again and again: a short trial; ``make soak`` runs the long one."""

from __future__ import annotations

import sys
from pathlib import Path

import batches
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.mark.slow
def test_nothing_is_lost_torn_or_repeated(tmp_path: Path) -> None:
    source = tmp_path / "in"
    batches.small_images(source, 8)
    assert batches.start(source, tmp_path / "whole", "-j", 2).wait() == 0
    trial = batches.killed(source, tmp_path / "killed", kills=6, seed=1)
    print(trial)
    assert sum(trial.kills.values()) == 6
    assert (trial.orphans, trial.torn, trial.repeated) == (0, 0, 0)
    assert batches.tree(tmp_path / "killed") == batches.tree(tmp_path / "whole")
    assert len(batches.committed(tmp_path / "killed")) == 8
