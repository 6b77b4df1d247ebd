"""Which image files there are: in folders, and in the folders below them."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from ..errors import ReadError
from .formats import SUFFIXES, is_store
from .store import FAILURE, RECORD
from .text import one_line

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search:
    """How folders are searched.

    ``recursive``: folders within them too, but for hidden ones, links, results of stemdisp and ``output``, the folder
    that results go to.  ``include`` and ``exclude``: patterns (* and ?) of names, or of paths below the folder that is
    searched, without regard to case; a file is taken that fits one of the former, if there are any, and none of the
    latter.
    """

    recursive: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    output: Path | None = None

    def takes(self, path: Path) -> bool:
        """Whether a path, relative to what is searched, is wanted."""

        def fits(pattern: str) -> bool:
            pattern = pattern.casefold()
            return any(fnmatch(text.casefold(), pattern) for text in (path.name, path.as_posix()))

        wanted = not self.include or any(map(fits, self.include))
        return wanted and not any(map(fits, self.exclude))


def natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that puts image2 before image10."""
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [(0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts], str(path)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _is_image(path: Path, top: Path) -> bool:
    """Whether a file (or a folder that is one image) may be read; links that lead out of ``top`` are refused."""
    hidden = path.name.startswith((".", "~"))
    if hidden or path.suffix.lower() not in SUFFIXES or not (path.is_file() or is_store(path)):
        return False
    if path.is_symlink() and not _inside(path, top):
        log.warning("%s leads out of its folder; left out", one_line(path.name))
        return False
    return True


def _is_searched(path: Path, search: Search) -> bool:
    """Whether a folder within a folder is looked into."""
    if path.name.startswith((".", "~")) or path.is_symlink() or not path.is_dir() or is_store(path):
        return False
    if search.output is not None and path.resolve() == search.output.resolve():
        return False
    return not any((path / name).is_file() for name in (RECORD, FAILURE))


def _walk(folder: Path, top: Path, search: Search) -> Iterator[Path]:
    entries = sorted(folder.iterdir(), key=natural)
    yield from (path for path in entries if _is_image(path, top) and search.takes(path.relative_to(top)))
    if search.recursive:
        for path in entries:
            if _is_searched(path, search):
                yield from _walk(path, top, search)


def _named(path: Path, search: Search) -> Iterator[tuple[Path, Path]]:
    """Files that a path stands for, and where below it they lie."""
    if not path.is_dir() or is_store(path):
        if search.takes(Path(path.name)):
            yield path, Path()
        return
    try:
        for file in _walk(path, path, search):
            yield file, file.parent.relative_to(path)
    except OSError as error:
        raise ReadError(f"{one_line(error.filename or path)}: cannot be listed: {error.strerror}") from error


def find_files(paths: Iterable[str | os.PathLike[str]], search: Search) -> dict[Path, Path]:
    """Files named directly, through their folder or by a pattern, each once, in order.

    Returns
    -------
    Absolute path -> folder, relative to the one that was searched, in which it lies.

    Raises
    ------
    ReadError
        For a path that does not exist or a folder that cannot be listed.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        pattern = () if path.exists() else glob.glob(str(path), recursive=True)
        matches = [path] if path.exists() else sorted(map(Path, pattern), key=natural)
        if not matches:
            raise ReadError(f"{one_line(path)}: no such file or folder")
        for match in matches:
            for file, within in _named(match, search):
                found.setdefault(Path(os.path.abspath(file)), within)
    return found
