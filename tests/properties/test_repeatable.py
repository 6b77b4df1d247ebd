"""An analysis depends on the image and the recipe alone: not on threads, not on what memory held before."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ANALYSE = """
import hashlib
import numpy as np
import stemdisp
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Edge, Scene, View

scene = Scene(
    seed=5,
    view=View(shape=(170, 190), pixel_size_pm=(14.3, 14.3)),
    dose=Dose(peak_counts=2000, background_counts=200),
    motion=Motion(normal_pm=9.0, parallel_pm=20.0, jitter_pm=2.0),
    edge=Edge(offset_A=4.0),
)
found = stemdisp.analyse(stemdisp.simulate(scene.facing(80.0))[0], stemdisp.recipe_for("KTaO3", "1-10"))
digest = hashlib.sha256(repr((found.quality, found.warnings)).encode())
for table in (found.columns, found.profile):
    for name, values in sorted(table.arrays().items()):
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
for values in (found.lattice.origin, found.lattice.cell, found.displacement.uv, found.displacement.cov):
    digest.update(np.ascontiguousarray(values).tobytes())
print(digest.hexdigest())
"""
"""Prints one number for all bits of an analysis."""

SURROUNDINGS = {
    "threads of the kernel": {"OMP_NUM_THREADS": "3"},
    "threads of BLAS": {"OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "VECLIB_MAXIMUM_THREADS": "2"},
    "what memory held": {"MALLOC_PERTURB_": "165", "PYTHONMALLOC": "malloc"},
}
"""What must change no bit, as environment variables; glibc fills memory that it gives with huge numbers."""

ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}


def _digest(**surroundings: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_PERTURB_"}
    done = subprocess.run(
        [sys.executable, "-c", ANALYSE],
        env=environment | {"PYTHONHASHSEED": "0"} | ALONE | surroundings,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def digest() -> str:
    return _digest()


@pytest.mark.parametrize("what", SURROUNDINGS)
def test_surroundings_change_no_bit(digest: str, what: str) -> None:
    assert len(digest) == 64
    assert _digest(**SURROUNDINGS[what], PYTHONHASHSEED="1") == digest
