"""What a process may take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stemdisp.batch import limits


def test_there_is_something_to_share() -> None:
    assert limits.processors() >= 1
    there = limits.memory_bytes()
    assert there is None or there > 1 << 28
    assert there is None or limits.share_of_memory(4) == int(limits.SHARE * there / 4)


@pytest.mark.parametrize(("quota", "expected"), [("100000 100000", 1), ("max 100000", None), ("damaged", None)])
def test_a_container_has_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected) -> None:
    everything = limits.processors()
    (tmp_path / "cpu.max").write_text(quota)
    (tmp_path / "memory.max").write_text("1000000\n")
    monkeypatch.setattr(limits, "CGROUP", tmp_path)
    assert limits.processors() == (expected or everything)
    assert limits.memory_bytes() == 1000000


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count data")
def test_too_much_is_a_memory_error() -> None:
    code = (
        "from stemdisp.batch.limits import limit_memory\nlimit_memory(300_000_000)\n"
        "small = bytearray(50_000_000)\ntry:\n    bytearray(400_000_000)\nexcept MemoryError:\n    raise SystemExit(7)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of this kind")
def test_each_gpu_is_claimed_once_and_given_free_by_death(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stemdisp.batch.limits import claim_gpu\n"
        f"print([claim_gpu(2, Path({str(tmp_path)!r})) for _ in range(3)])"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert done.stdout.strip() == "[0, 1, None]"
