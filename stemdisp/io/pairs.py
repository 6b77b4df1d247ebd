"""Which files belong together: those whose names differ in the detector alone are one image set."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .search import Search, find_files

DETECTOR = re.compile(r"(?:^|[_\- ])(?P<detector>HAADF|ADF|ABF)(?=[_\- ]|$)", re.IGNORECASE)
"""A detector as a whole word of a stem, with what stands before it."""


@dataclass(frozen=True)
class ImageSet:
    """Files of one area, the bright-column image first, and where below the folder that was searched they lie.

    The label, path of the result folder within the output folder, is unique whatever the case.
    """

    name: str
    paths: tuple[Path, ...]
    within: Path = Path()

    @property
    def label(self) -> str:
        """Name, with the folders above it that mirror those of the input."""
        return (self.within / self.name).as_posix()


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


def _taken(sets: Iterable[ImageSet]) -> Counter[str]:
    """How often each path is used for a result, or for a folder above one, without regard to case."""
    sets = list(sets)
    above = {folder.as_posix().casefold() for one in sets for folder in (one.within, *one.within.parents)}
    return Counter(one.label.casefold() for one in sets) + Counter(above)


def _unique(sets: list[ImageSet]) -> list[ImageSet]:
    """Sets whose labels differ without regard to case: by their extension, their folder, and at last by a number."""

    def clashing(sets: list[ImageSet]) -> list[bool]:
        count = _taken(sets)
        return [count[one.label.casefold()] > 1 or not _is_plain(one.name) for one in sets]

    def with_extension(one: ImageSet) -> str:
        return one.name + one.paths[0].suffix if len(one.paths) > 1 else one.paths[0].name

    def with_folder(one: ImageSet) -> str:
        return f"{one.paths[0].parent.name}_{one.name}"

    for longer in (with_extension, with_folder):
        sets = [replace(one, name=longer(one)) if bad else one for one, bad in zip(sets, clashing(sets), strict=True)]
    taken = {folder.as_posix().casefold() for one in sets for folder in (one.within, *one.within.parents)}
    for i, one in enumerate(sets):
        plain, number = one.name, 2
        while one.label.casefold() in taken:
            one, number = replace(one, name=f"{plain}-{number}"), number + 1
        taken.add(one.label.casefold())
        sets[i] = one
    return sets


def group_inputs(paths: Iterable[str | os.PathLike[str]], search: Search | None = None) -> list[ImageSet]:
    """Sort files, and the files of folders, into sets that are analysed together.

    Parameters
    ----------
    paths
        Files, taken whatever they are called; folders, of which the files with readable suffixes are taken in natural
        order (hidden files and links that lead out are not); patterns with * and ?, which stand for the files they fit.
    search
        Whether folders within folders are searched too, and which files are taken and left out.

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
    within = find_files(paths, search or Search())
    files = list(within)
    pairs = {first: ImageSet(name, (first, second), within[first]) for name, first, second in _pairs(files)}
    seconds = {one.paths[1]: one for one in pairs.values()}
    sets: dict[tuple[Path, ...], ImageSet] = {}
    for file in files:
        one = pairs.get(file) or seconds.get(file) or ImageSet(file.stem, (file,), within[file])
        sets[one.paths] = one
    return _unique(list(sets.values()))
