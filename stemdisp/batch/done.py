"""What was done before: whether a result folder is the one that would be made now, and if not, why."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from ..io.provenance import FORMAT, key
from ..io.store import FAILURE, RECORD
from ..recipe import load
from .hashes import Hashes
from .job import Job

STANDS = "failed before"
"""Why a failed image is not tried again, or is where that was asked for."""

MOST_NAMED = 3
"""Changed values of a recipe that are named."""


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object in a file; None where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def intact(folder: Path, outputs: Mapping[str, Any], hashes: Hashes) -> bool:
    """Whether every output is there as it was written; a record that names files elsewhere is not ours, nor is a link.

    Raises OSError where one is not there.  Paths are plain text: thousands of them are looked at in a second.
    """
    home = os.path.join(os.path.abspath(folder), "")
    for name, expected in outputs.items():
        path = os.path.normpath(home + name)
        if not path.startswith(home) or hashes.of(path) != expected or os.path.islink(path):
            return False
    return True


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _recipe_changed(folder: Path, job: Job, inputs: list[str]) -> str:
    """Which values of the recipe differ from those that the result was made with."""
    try:
        old = load(folder / "recipe.toml").acting_on(inputs)
    except RecipeError:
        return "recipe changed"
    before, now = (dict(_flat(one.model_dump(mode="json"))) for one in (old, job.recipe.acting_on(inputs)))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more} changed" if names else "recipe changed"


def _of_failure(failure: Mapping[str, Any], current: str, *, retry: bool) -> tuple[str, bool]:
    if not isinstance(failure.get("key"), str):
        return STANDS, False
    if failure["key"] != current:
        return "failed before; input or recipe changed", False
    return STANDS, not retry


def why_again(job: Job, hashes: Hashes, *, retry_failed: bool = False) -> tuple[str, bool]:
    """Why an image set has to be analysed (again), in a few words, and whether nothing is done all the same.

    Parameters
    ----------
    job
        The image set with its folder, recipe and options.
    hashes
        Hashes that are known already.
    retry_failed
        Whether to try again what failed with the same inputs and recipe.

    Returns
    -------
    ("", True) where the result stands: same inputs, recipe and format, and every output has the hash that its record
    names. ("failed before", True) where a failure stands. Else the reason, and False.
    """
    folder = job.folder
    record, failure = read_json(folder / RECORD), read_json(folder / FAILURE)
    if record is None and failure is None:
        return "new", False
    try:
        inputs = [hashes.of(path) for path in job.image.paths]
        current = key(job.recipe, inputs)
        if record is None:
            return _of_failure(failure or {}, current, retry=retry_failed)
        if record.get("key") != current:
            return _of_change(job, record, inputs), False
        outputs = record["outputs"]
        drawn = any(name.startswith("figures/") for name in outputs)
        if f"columns.{job.options.table}" not in outputs or (job.options.figures and not drawn):
            return "outputs missing", False
        return ("", True) if intact(folder, outputs, hashes) else ("outputs changed", False)
    except FileNotFoundError:
        return "outputs missing", False
    except OSError:
        return "input or outputs unreadable", False
    except (AttributeError, TypeError, KeyError, ValueError):
        return "result unreadable", False


def _of_change(job: Job, record: Mapping[str, Any], inputs: list[str]) -> str:
    if record.get("format") != FORMAT or "key" not in record:
        return "another format"
    if [one.get("sha256") for one in record["inputs"]] != inputs:
        return "input changed"
    return _recipe_changed(job.folder, job, inputs)
