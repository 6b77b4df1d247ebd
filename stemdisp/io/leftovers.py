"""What a killed process left beside result folders: finished where everything was there already, else taken away."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from .provenance import sha256
from .store import FAILURE, LONGEST_NAME, RECORD

LEFTOVER = re.compile(r"\.(?P<name>.*)\.tmp-[0-9a-f]{12}", re.DOTALL)
"""Name of an unfinished folder, and within it that of the folder it was to become."""


def _folders(root: Path) -> Iterator[Path]:
    """Unfinished folders below a root; result folders and links are not looked into."""
    with os.scandir(root) as entries:
        found = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for folder in found:
        if LEFTOVER.fullmatch(folder.name):
            yield folder
        elif not any((folder / name).exists() for name in (RECORD, FAILURE)):
            yield from _folders(folder)


def _complete(folder: Path) -> bool:
    """Whether nothing was left to do but to move the folder into place."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return all(sha256(folder / name) == digest for name, digest in record["outputs"].items())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def sweep(root: Path) -> list[Path]:
    """Deal with the unfinished folders below an output folder that nobody else writes to now.

    A replaced result is moved aside before the new one takes its place.  Where a process was killed between the two,
    the newest complete folder is moved back, so that neither the numbers nor what others put beside them is lost.

    Returns
    -------
    The folders that were dealt with.
    """
    found = sorted(_folders(root), key=lambda folder: folder.stat().st_mtime_ns, reverse=True)
    for folder in sorted(found, key=lambda folder: not (folder / RECORD).exists()):  # results before failures
        match = LEFTOVER.fullmatch(folder.name)
        assert match is not None
        place = folder.with_name(match["name"])
        whole = len(os.fsencode(place.name)) < LONGEST_NAME - 3  # else it was cut, perhaps within a letter
        if whole and not place.exists() and (_complete(folder) or (folder / FAILURE).is_file()):
            folder.rename(place)
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return found
