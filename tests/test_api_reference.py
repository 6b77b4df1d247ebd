"""The reference of the public names can be built, without a warning, and holds them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import stemdisp

pytest.importorskip("pdoc", reason="pdoc is not installed")


def test_every_public_name_is_in_the_reference(tmp_path: Path) -> None:
    script = Path(__file__).with_name("api_reference.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "stemdisp.html").read_text(encoding="utf-8")
    assert [name for name in stemdisp.__all__ if f'id="{name}"' not in page] == []


def test_every_public_name_says_what_it_is() -> None:
    bare = [name for name in stemdisp.__all__ if name != "__version__" and not getattr(stemdisp, name).__doc__]
    assert bare == []
