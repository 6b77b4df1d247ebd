"""What an output folder holds: every image that was analysed or failed, read from the folders themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ReadError, StemdispError
from ..io.leftovers import LEFTOVER
from ..io.provenance import sha256
from ..io.store import FAILURE, RECORD
from ..io.text import one_line
from .done import read_json
from .run import STATE


@dataclass(frozen=True)
class Entry:
    """One result folder: the image's label, how it ended ("done", "failed", "damaged"), and a sentence.

    ``record`` is its commit record, or its record of failure.
    """

    label: str
    folder: Path
    status: str
    sentence: str
    record: dict[str, Any]

    @property
    def warnings(self) -> int:
        """Warnings of a result."""
        return _warned(self.record)


def _warned(record: dict[str, Any]) -> int:
    found = record.get("warnings")
    return len(found) if isinstance(found, list) else 0


def _folders(root: Path) -> Iterator[Path]:
    """Result folders below a root, in order; links are not followed."""
    with os.scandir(root) as entries:
        found = sorted((entry.name for entry in entries if entry.is_dir(follow_symlinks=False)), key=str.casefold)
    for name in found:
        folder = root / name
        if name == STATE or LEFTOVER.fullmatch(name):
            continue
        if is_result(folder):
            yield folder
        else:
            yield from _folders(folder)


def _entry(root: Path, folder: Path) -> Entry:
    label = folder.relative_to(root).as_posix()
    record, failure = read_json(folder / RECORD), read_json(folder / FAILURE)
    if record is not None:
        count = _warned(record)
        said = f"{count} warning{'s' * (count != 1)}" if count else ""
        return Entry(label, folder, "done", said, record)
    if failure is not None:
        stage, sentence = (one_line(failure.get(name, "?"), 1000) for name in ("stage", "sentence"))
        return Entry(label, folder, "failed", f"{stage}: {sentence}", failure)
    return Entry(label, folder, "damaged", "its record cannot be read; run it again", {})


def is_result(folder: Path) -> bool:
    """Whether a folder is the result of one image, finished or failed; else it may hold those of many."""
    return any((folder / name).is_file() for name in (RECORD, FAILURE))


def catalogue(out: Path) -> list[Entry]:
    """Every result and failure in an output folder.

    Raises ReadError where there is no such folder, or it holds none.
    """
    try:
        found = [_entry(out, folder) for folder in _folders(out)]
    except OSError as error:
        raise ReadError(f"{one_line(error.filename or out)}: {error.strerror}") from error
    if not found:
        raise ReadError(f"{one_line(out)} holds no results of stemdisp run")
    return found


def forget_failures(out: Path) -> list[Path]:
    """Delete records of failures, and their folders where nothing else is in them; returns those folders."""
    try:
        found = [folder for folder in _folders(out) if not (folder / RECORD).is_file()]
        for folder in found:
            (folder / FAILURE).unlink()
            if not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise StemdispError(f"{one_line(error.filename or out)} cannot be deleted: {error.strerror}") from error
    return found


def verify(entry: Entry) -> list[str]:
    """What of a result is not as it was written, a sentence each; every output is read and hashed anew."""
    outputs = entry.record.get("outputs")
    if entry.status == "failed":
        return []
    if not isinstance(outputs, dict):
        return [f"{one_line(entry.label)}: {RECORD} is damaged"]
    wrong = []
    home = entry.folder.resolve()
    for name, expected in outputs.items():
        path = entry.folder / name
        shown = f"{one_line(entry.label)}: {one_line(name)}"
        try:
            if not path.resolve().is_relative_to(home):
                wrong.append(f"{shown} leads out of the folder")
            elif sha256(path) != expected:
                wrong.append(f"{shown} was changed")
        except FileNotFoundError:
            wrong.append(f"{shown} is missing")
        except OSError as error:
            wrong.append(f"{shown} cannot be read: {error.strerror}")
    return wrong
