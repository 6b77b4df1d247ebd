"""What was done before: whether a result folder is the one that would be made now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..io.pairs import ImageSet
from ..io.provenance import fingerprint, sha256
from ..io.store import FAILURE, FORMAT, RECORD


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _same_inputs(record: dict[str, Any], one: ImageSet) -> bool:
    known = [(entry.get("name"), entry.get("size"), entry.get("sha256")) for entry in record.get("inputs", [])]
    return known == [(path.name, *fingerprint(path)) for path in one.paths]


def _intact(folder: Path, outputs: dict[str, str]) -> bool:
    """Whether every output is there as it was written; a record that names files elsewhere is not ours."""
    for name, expected in outputs.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file() or sha256(path) != expected:
            return False
    return True


def why_again(folder: Path, one: ImageSet, digest: str, *, table: str, figures: bool) -> str:
    """Why an image set has to be analysed (again), in two words; empty where its result stands.

    A result stands when inputs, recipe and format are the same and every output has the hash its record names.
    """
    record = _record(folder)
    if record is None:
        return "failed before" if (folder / FAILURE).is_file() else "new"
    outputs = record.get("outputs")
    if record.get("format") != FORMAT or not isinstance(outputs, dict):
        return "another format"
    try:
        if record.get("recipe") != digest:
            return "recipe changed"
        if not _same_inputs(record, one):
            return "input changed"
        if f"columns.{table}" not in outputs or (figures and not any(name.startswith("figures/") for name in outputs)):
            return "outputs missing"
        return "" if _intact(folder, outputs) else "outputs changed"
    except (OSError, AttributeError, TypeError, KeyError):
        return "outputs unreadable"
