"""Result folders: written whole or not at all, and read back without loss.

Everything is first written into a hidden folder beside the final one, with the commit record ``result.json`` last, then
moved into place: a folder that has a ``result.json`` is complete.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from .. import __version__
from ..errors import ReadError, RecipeError, StemdispError
from ..model.analysis import Analysis
from . import archive, tables
from .provenance import FORMAT, provenance, sha256
from .recipe_toml import to_toml
from .summary import summary
from .text import one_line

RECORD, FAILURE, ARCHIVE = "result.json", "failure.json", "analysis.npz"

LONGEST_NAME = 230
"""Bytes of a folder's name that its temporary sibling repeats: names end at 255 bytes."""


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def _files(folder: Path) -> list[Path]:
    """Every file below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    """Have every file of a folder on the disk, then their names."""
    for path in _files(folder):
        _flush(path)
    with suppress(OSError):  # some file systems cannot flush folders
        _flush(folder)


def _ours(folder: Path) -> bool:
    """Whether a folder is empty or a result (perhaps without its record), and so may be replaced."""
    return not any(folder.iterdir()) or any((folder / name).is_file() for name in (RECORD, FAILURE, ARCHIVE))


def record_of(folder: Path) -> dict[str, Any]:
    """The commit record of a folder; raises ReadError where there is none or it is of a newer format."""
    path, shown = folder / RECORD, one_line(folder)
    if (folder / FAILURE).is_file() and not path.is_file():
        sentence = json.loads((folder / FAILURE).read_text(encoding="utf-8")).get("sentence", "")
        raise ReadError(f"{shown} holds no result: the analysis failed ({one_line(sentence)})")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        number = int(found["format"])
    except FileNotFoundError:
        raise ReadError(f"{shown} holds no result ({RECORD} is missing); analyse the image again") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReadError(f"{shown}: {RECORD} is damaged; analyse the image again") from error
    if number > FORMAT:
        written = one_line(found.get("stemdisp", "?"), 40)
        raise ReadError(
            f"{shown} has format {number}, written by stemdisp {written}; stemdisp {__version__} reads up to {FORMAT}: "
            "update stemdisp"
        )
    return dict(found)


def _keep_foreign(old: Path, new: Path) -> None:
    """Copy what others put into an old result folder: files that its record does not name."""
    written = {RECORD, FAILURE}
    with suppress(OSError, ValueError, TypeError, AttributeError):
        written |= set(json.loads((old / RECORD).read_text(encoding="utf-8")).get("outputs", {}))
    for path in _files(old):
        name = path.relative_to(old).as_posix()
        if name not in written and not (new / name).exists():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, new / name, follow_symlinks=False)


@contextmanager
def _replacing(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A temporary folder that takes the place of ``folder`` when the block ends well, and vanishes when it does not.

    Raises FileExistsError where ``folder`` may not be replaced, StemdispError where it cannot be written.
    """
    if folder.exists() and not (folder.is_dir() and _ours(folder)):
        raise FileExistsError(f"{one_line(folder)} exists and is no result of stemdisp; choose another name")
    if (folder / RECORD).exists() and not overwrite:
        raise FileExistsError(f"{one_line(folder)} exists; pass overwrite=True to replace it")
    temporary = _sibling(folder)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _swap(temporary, folder)
    except OSError as error:
        if isinstance(error, StemdispError):
            raise
        raise StemdispError(f"{one_line(folder)} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sibling(folder: Path) -> Path:
    """A hidden name beside a folder that nobody else uses."""
    name = os.fsencode(folder.name)[:LONGEST_NAME].decode("utf-8", errors="ignore")
    return folder.with_name(f".{name}.tmp-{secrets.token_hex(6)}")


def _swap(temporary: Path, folder: Path) -> None:
    """Put a finished folder in its place; an old one goes aside first and comes back if that fails."""
    aside = _sibling(folder) if folder.exists() else None
    if aside is not None:
        _keep_foreign(folder, temporary)
    _sync(temporary)
    if aside is not None:
        folder.rename(aside)
    try:
        temporary.rename(folder)
    except OSError:
        if aside is not None:
            aside.rename(folder)
        raise
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
    with suppress(OSError):
        _flush(folder.parent)


def _write_data(analysis: Analysis, folder: Path, table: str) -> None:
    """Everything but figures, report and record."""
    for name, make in tables.TABLES.items():
        tables.WRITERS[table](make(analysis), folder / f"{name}.{table}")
    _write_json(folder / "summary.json", summary(analysis))
    (folder / "recipe.toml").write_text(to_toml(analysis.recipe), encoding="utf-8")
    archive.write(analysis, folder / ARCHIVE)


def save(
    analysis: Analysis,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    table: Literal["csv", "parquet"] = "csv",
    extras: Callable[[Path], None] | None = None,
    started: datetime | None = None,
) -> Path:
    """Write the result folder of an analysis, whole or not at all.

    Parameters
    ----------
    analysis
        What to write; tables of stages that did not run have only their heads.
    folder
        The result folder itself; its parents are made.
    overwrite
        Whether a complete result there may be replaced (files that others put into it are kept).  A failed or an empty
        one always is; a folder that is no result of stemdisp never.
    table
        Kind of the tables.
    extras
        Called with the unfinished folder to add figures and the report to it.
    started
        When the analysis began, for the record.

    Returns
    -------
    The folder.

    Raises
    ------
    FileExistsError
        Where something stands in the way.
    RecipeError
        For a kind of table that does not exist or needs a package that is missing.
    StemdispError
        Where the disk is full or the folder cannot be written.
    """
    folder = Path(folder)
    if table not in tables.WRITERS:
        raise RecipeError(f"table {table!r} is no kind of table; choose {' or '.join(tables.WRITERS)}")
    with _replacing(folder, overwrite=overwrite) as new:
        _write_data(analysis, new, table)
        if extras is not None:
            extras(new)
        outputs = {path.relative_to(new).as_posix(): sha256(path) for path in _files(new)}
        record = {"format": FORMAT, "name": analysis.micrograph.name, **provenance(analysis, started)}
        _write_json(new / RECORD, {**record, "outputs": outputs})
    return folder


def save_failure(folder: str | os.PathLike[str], error: BaseException, stage: str, *, key: str | None = None) -> Path:
    """Write a folder with nothing but ``failure.json``: class of the error, its sentence, and the stage it came from.

    ``key`` names inputs and recipe where another try with the same would end the same way.  Replaces an older result of
    the same image.  Raises FileExistsError for a folder that is no result of stemdisp.
    """
    folder = Path(folder)
    content = {"class": type(error).__name__, "sentence": one_line(error, 1000), "stage": stage, "key": key}
    with _replacing(folder, overwrite=True) as new:
        _write_json(new / FAILURE, content)
    return folder


def load(folder: str | os.PathLike[str]) -> Analysis:
    """The analysis in a result folder, as it was saved.

    Raises ReadError where the folder is incomplete, damaged, of a newer format, or the record of a failure.
    """
    folder = Path(folder)
    expected = record_of(folder).get("outputs", {}).get(ARCHIVE)
    path = folder / ARCHIVE
    if not path.is_file():
        raise ReadError(f"{one_line(folder)}: {ARCHIVE} is missing; analyse the image again")
    if sha256(path) != expected:
        raise ReadError(f"{one_line(path)} was changed after it was written; analyse the image again")
    return archive.read(path)
