"""Where a result came from: program, machine, inputs, recipe, times."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..model.analysis import Analysis
from ..recipe import Recipe
from .text import one_line

FORMAT = 1
"""Version of the result folder; it grows when an older stemdisp could no longer read it rightly."""

PACKAGES = ("numpy", "scipy", "scikit-image", "h5py", "rosettasciio", "tifffile")
"""Packages whose version can change a number."""


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file, read in pieces; raises OSError for what never ends, such as a pipe or a device."""
    if not path.is_file() and path.exists():
        raise OSError(f"{one_line(path.name)} is not a regular file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 (hex) of an input: a file, or a folder that is one image, by the names and bytes in it."""
    if not path.is_dir():
        return path.stat().st_size, sha256(path)
    total, digest = 0, hashlib.sha256()
    for part in sorted(part for part in path.rglob("*") if part.is_file()):
        total += part.stat().st_size
        digest.update(f"{part.relative_to(path).as_posix()}\0{sha256(part)}\n".encode("utf-8", "surrogateescape"))
    return total, digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def key(recipe: Recipe, hashes: Sequence[str]) -> str:
    """SHA-256 (hex) of all that decides the numbers: the bytes of the inputs (by their hashes, in order), what of the
    recipe acts on them, and the version of the result."""
    asked = recipe.acting_on(hashes).model_dump_json()
    return hashlib.sha256(json.dumps([FORMAT, *hashes, asked]).encode()).hexdigest()


def _blas() -> str:
    """Which library adds up NumPy's products."""
    import numpy as np

    found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{found.get('name', '?')} {found.get('version', '?')}"


def provenance(analysis: Analysis, started: datetime | None = None) -> dict[str, Any]:
    """The record of one analysis as plain data; times are UTC, ``started`` is when reading began (if known)."""
    return {
        "stemdisp": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "blas": _blas(),
        "device": analysis.device,
        "seconds": {stage: round(s, 3) for stage, s in analysis.seconds.items() if math.isfinite(s)},
        "warnings": list(analysis.warnings),
        "started": None if started is None else started.astimezone(UTC).isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": analysis.recipe.digest(),
        "key": key(analysis.recipe, [one.sha256 for one in analysis.micrograph.inputs]),
        "inputs": [
            {"name": one.name, "size": one.size, "sha256": one.sha256, "reader": one.reader}
            for one in analysis.micrograph.inputs
        ],
    }
