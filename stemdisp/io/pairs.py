"""Which files belong together: NAME_HAADF and NAME_ABF are one image set, everything else stands alone."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ReadError
from .formats import SUFFIXES
from .text import one_line

log = logging.getLogger(__name__)

DETECTOR = re.compile(r"^(?P<name>.+)[_\- ](?P<detector>HAADF|ADF|ABF)$", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class ImageSet:
    """Files of one area, the bright-column image first; the name of their result folder is unique whatever the case."""

    name: str
    paths: tuple[Path, ...]


def common_name(stems: Sequence[str]) -> str:
    """Name of files that belong together, from their stems: the NAME that _HAADF and _ABF share, else the first stem.

    >>> common_name(["KTO_HAADF", "KTO_ABF"]), common_name(["KTO_HAADF"])
    ('KTO', 'KTO_HAADF')
    """
    found = [DETECTOR.match(stem) for stem in stems]
    names = {match["name"].casefold() for match in found if match}
    if len(stems) > 1 and all(found) and len(names) == 1 and found[0]:
        return found[0]["name"]
    return stems[0]


def natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that puts image2 before image10."""
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [(0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts], str(path)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _readable(folder: Path) -> list[Path]:
    """Files of a folder (not of those in it) with a readable suffix; links that lead out of it are refused."""
    kept = []
    for path in sorted(folder.iterdir(), key=natural):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith((".", "~")) or not path.is_file():
            continue
        if path.is_symlink() and not _inside(path, folder):
            log.warning("%s leads out of its folder; left out", one_line(path.name))
            continue
        kept.append(path)
    return kept


def _expand(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Files named directly or through their folder, each once, in order."""
    files: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise ReadError(f"{one_line(path)}: no such file or folder")
        try:
            found = _readable(path) if path.is_dir() else [path]
        except OSError as error:
            raise ReadError(f"{one_line(path)}: cannot be listed: {error.strerror}") from error
        files |= dict.fromkeys(Path(os.path.abspath(file)) for file in found)
    return list(files)


def _pairs(files: list[Path]) -> list[tuple[str, Path, Path]]:
    """(name, bright, dark) of files that belong together; of several candidates those with one suffix, then HAADF."""
    groups: dict[tuple[Path, str], dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        match = DETECTOR.match(file.stem)
        if match:
            groups[file.parent, match["name"].casefold()][match["detector"].upper()].append(file)
    pairs = []
    for found in groups.values():
        bright, dark = [*found["HAADF"], *found["ADF"]], found["ABF"]
        rules: tuple[Callable[[Path, Path], bool], ...] = (
            lambda a, b: a.suffix.lower() == b.suffix.lower(),
            lambda a, b: True,
        )
        for fits in rules:
            for first in tuple(bright):
                second = next((file for file in dark if fits(first, file)), None)
                if second is not None:
                    pairs.append((common_name([first.stem, second.stem]), first, second))
                    bright.remove(first)
                    dark.remove(second)
    return pairs


def _is_plain(name: str) -> bool:
    """Whether a name can name a folder (``...tif`` has the stem ``..``)."""
    return bool(name.strip(". "))


def _unique(sets: list[ImageSet]) -> list[ImageSet]:
    """Sets with names that differ without regard to case: by their extension, their folder, and at last by a number."""

    def clashing(sets: list[ImageSet]) -> list[bool]:
        count = Counter(one.name.casefold() for one in sets)
        return [count[one.name.casefold()] > 1 or not _is_plain(one.name) for one in sets]

    def with_extension(one: ImageSet) -> str:
        return one.name + one.paths[0].suffix if len(one.paths) > 1 else one.paths[0].name

    def with_folder(one: ImageSet) -> str:
        return f"{one.paths[0].parent.name}_{one.name}"

    for longer in (with_extension, with_folder):
        sets = [replace(one, name=longer(one)) if bad else one for one, bad in zip(sets, clashing(sets), strict=True)]
    taken: set[str] = set()
    for i, one in enumerate(sets):
        name, number = one.name, 2
        while name.casefold() in taken:
            name, number = f"{one.name}-{number}", number + 1
        taken.add(name.casefold())
        sets[i] = replace(one, name=name)
    return sets


def group_inputs(paths: Iterable[str | os.PathLike[str]]) -> list[ImageSet]:
    """Sort files, and the files of folders, into sets that are analysed together.

    Parameters
    ----------
    paths
        Files, taken whatever they are called, and folders, of which the files with readable suffixes are taken in
        natural order; folders inside them, hidden files and links that lead out are not.

    Returns
    -------
    One set per area: NAME_HAADF (or NAME_ADF) with NAME_ABF of the same folder is called NAME, any other file after
    its stem.  Where two names collide the extension is kept, then the folder's name put before.  The order is that of
    the files.

    Raises
    ------
    ReadError
        For a path that does not exist or a folder that cannot be listed.
    """
    files = _expand(paths)
    pairs = {first: ImageSet(name, (first, second)) for name, first, second in _pairs(files)}
    seconds = {one.paths[1]: one for one in pairs.values()}
    sets: dict[tuple[Path, ...], ImageSet] = {}
    for file in files:
        one = pairs.get(file) or seconds.get(file) or ImageSet(file.stem, (file,))
        sets[one.paths] = one
    return _unique(list(sets.values()))
