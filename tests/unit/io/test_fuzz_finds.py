"""Files that fuzzing found a fault with: each is read in a process of its own, and ends in an image or a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import stemdisp

ROOT = Path(stemdisp.__file__).parents[1]
FINDS = sorted((Path(__file__).parents[2] / "fuzz" / "finds").glob("*"))

READ = """
import resource, sys
from pathlib import Path
from reading import IMAGE, REFUSED, judge
resource.setrlimit(resource.RLIMIT_DATA, (2_000_000_000, resource.RLIM_INFINITY))
for name in sys.argv[1:]:
    kind, sentence = judge(Path(name))
    assert kind in (IMAGE, REFUSED), f"{name}: {kind}: {sentence}"
"""

SECONDS = 120
"""A file that hangs is given up after so long; all together take a few seconds."""


@pytest.mark.skipif(not FINDS, reason="no find is kept")
@pytest.mark.skipif(sys.platform == "win32", reason="limits of memory are those of Unix")
def test_finds_end_as_they_should() -> None:
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "fuzz")]
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, FINDS)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
