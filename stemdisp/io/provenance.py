"""Where a result came from: program, machine, inputs, recipe, times."""

from __future__ import annotations

import hashlib
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..model.analysis import Analysis

PACKAGES = ("numpy", "scipy", "scikit-image")
"""Packages whose version can change a number."""


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def provenance(analysis: Analysis, started: datetime | None = None) -> dict[str, Any]:
    """The record of one analysis as plain data; times are UTC, ``started`` is when reading began (if known)."""
    return {
        "stemdisp": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "device": analysis.device,
        "started": None if started is None else started.astimezone(UTC).isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": analysis.recipe.digest(),
        "inputs": [
            {"name": one.name, "size": one.size, "sha256": one.sha256, "reader": one.reader}
            for one in analysis.micrograph.inputs
        ],
    }
