"""Which files belong together: those whose names differ in the detector alone are one image set."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ReadError
from .formats import SUFFIXES, is_store
from .text import one_line

log = logging.getLogger(__name__)

DETECTOR = re.compile(r"(?:^|[_\- ])(?P<detector>HAADF|ADF|ABF)(?=[_\- ]|$)", re.IGNORECASE)
"""A detector as a whole word of a stem, with what stands before it."""


@dataclass(frozen=True)
class ImageSet:
    """Files of one area, the bright-column image first; the name of their result folder is unique whatever the case."""

    name: str
    paths: tuple[Path, ...]


def _split(stem: str) -> tuple[str, str, str] | None:
    """What stands before and after the detector in a stem, and the detector; None for stems with none or with several.

    >>> _split("KTO_HAADF"), _split("KTO_adf_cropped"), _split("KTO_ABF_HAADF"), _split("HAADF")
    (('KTO', '', 'HAADF'), ('KTO', '_cropped', 'ADF'), None, None)
    """
    found = list(DETECTOR.finditer(stem))
    if len(found) != 1:
        return None
    before, after = stem[: found[0].start()], stem[found[0].end() :]
    return (before, after, found[0]["detector"].upper()) if before + after else None


def common_name(stems: Sequence[str]) -> str:
    """Name of files that belong together, from their stems: the rest where only the detector differs, else the first.

    >>> common_name(["KTO_HAADF", "KTO_ABF"]), common_name(["KTO_HAADF"]), common_name(["a_ADF_1", "a_ABF_1"])
    ('KTO', 'KTO_HAADF', 'a_1')
    """
    found = [_split(stem) for stem in stems]
    rests = {(split[0].casefold(), split[1].casefold()) for split in found if split}
    if len(stems) > 1 and all(found) and len(rests) == 1 and found[0]:
        before, after, _ = found[0]
        return before + after if before else after[1:]
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
        hidden = path.name.startswith((".", "~"))
        if hidden or path.suffix.lower() not in SUFFIXES or not (path.is_file() or is_store(path)):
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
            found = _readable(path) if path.is_dir() and not is_store(path) else [path]
        except OSError as error:
            raise ReadError(f"{one_line(path)}: cannot be listed: {error.strerror}") from error
        files |= dict.fromkeys(Path(os.path.abspath(file)) for file in found)
    return list(files)


def _pairs(files: list[Path]) -> list[tuple[str, Path, Path]]:
    """(name, bright, dark) of files that belong together; of several candidates those with one suffix, then HAADF."""
    groups: dict[tuple[Path, str, str], dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        split = _split(file.stem)
        if split:
            groups[file.parent, split[0].casefold(), split[1].casefold()][split[2]].append(file)
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
    One set per area: NAME_HAADF (or NAME_ADF) with NAME_ABF of the same folder is called NAME, A_HAADF_B with A_ABF_B
    is called A_B, any other file after its stem.  Where two names collide the extension is kept, then the folder's name
    put before.  The order is that of the files.

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
