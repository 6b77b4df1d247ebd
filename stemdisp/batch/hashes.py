"""SHA-256 of files, each computed once: a known one is trusted while size, times and inode stay as they were."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from typing import NamedTuple

from ..io.provenance import fingerprint, sha256

FILE = "hashes.jsonl"
"""One line a file: its path, the four numbers of its stamp, its hash."""


class Stamp(NamedTuple):
    """What changes when a file is written, renamed over, or its times are set back: the change time cannot be set."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Known(NamedTuple):
    """A file of which the hash is known, as it was then."""

    path: Path
    stamp: Stamp
    sha256: str


def stamp(path: str | Path) -> Stamp | None:
    """The stamp of a file; None for a folder, of which no four numbers tell whether something in it changed."""
    found = os.stat(path)
    if S_ISDIR(found.st_mode):
        return None
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class Hashes:
    """Hashes of inputs and outputs, kept in a file of the batch from one run to the next.

    A line that is torn or untrue costs a new hash and nothing else.  Without ``keep`` nothing is written.
    """

    def __init__(self, folder: Path, *, keep: bool = True) -> None:
        self.path, self.keep = folder / FILE, keep
        self.known: dict[str, tuple[Stamp, str]] = {}
        self.lines = 0
        with suppress(OSError):
            self._load(self.path.read_text(encoding="utf-8", errors="surrogateescape"))

    def _load(self, text: str) -> None:
        decode = json.JSONDecoder().decode
        for line in text.splitlines():
            self.lines += 1
            try:
                path, size, mtime, ctime, inode, digest = decode(line)
                found = Stamp(int(size), int(mtime), int(ctime), int(inode))
            except (ValueError, TypeError, RecursionError):
                continue
            if isinstance(path, str) and isinstance(digest, str):
                self.known[path] = found, digest

    def of(self, path: str | Path) -> str:
        """The hash of a file or of a folder that is one image; raises OSError where it cannot be read."""
        known, digest = self.known.get(os.path.abspath(path)), ""
        if known is not None and known[0] == stamp(path):
            digest = known[1]
        else:
            path = Path(path)
            before = stamp(path)
            digest = sha256(path) if before is not None else fingerprint(path)[1]
            if before is not None and stamp(path) == before:
                self.learn([Known(path, before, digest)])
        return digest

    def learn(self, files: Iterable[Known]) -> None:
        """Remember what a worker has hashed anyway; a file that cannot be written is no reason to stop."""
        found = {os.path.abspath(one.path): (one.stamp, one.sha256) for one in files}
        self.known |= found
        self.lines += len(found)
        if not self.keep:
            return
        with suppress(OSError), self.path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write("".join(map(_line, found.items())))

    def close(self) -> None:
        """Write every file once where the lines have become many more than the files."""
        if not self.keep or self.lines <= 2 * len(self.known) + 100:
            return
        new = self.path.with_suffix(".new")
        with suppress(OSError):
            new.write_text("".join(map(_line, self.known.items())), encoding="utf-8", errors="surrogateescape")
            new.replace(self.path)


def _line(item: tuple[str, tuple[Stamp, str]]) -> str:
    path, (found, digest) = item
    return json.dumps([path, *found, digest], ensure_ascii=True) + "\n"
