"""Images that arrive while one waits: each is handed on once its files have come to rest."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence

from ..io.pairs import ImageSet, group_inputs
from ..io.search import Search
from .hashes import Stamp, stamp

POLL_S = 2.0
"""Seconds between two looks at the folders: network shares tell nobody when something changes."""

Stamps = tuple[Stamp | None, ...]


def _stamps(one: ImageSet) -> Stamps | None:
    """How the files of a set are now; None where one of them is gone again."""
    try:
        return tuple(stamp(path) for path in one.paths)
    except OSError:
        return None


def arriving(
    paths: Sequence[str | os.PathLike[str]],
    search: Search,
    *,
    settle_s: float,
    stop: threading.Event,
    poll_s: float = POLL_S,
) -> Iterator[ImageSet | None]:
    """Image sets in files and folders, those that are there and those that come.

    Parameters
    ----------
    paths, search
        As of :func:`stemdisp.io.pairs.group_inputs`.
    settle_s
        Seconds for which sizes and times of a set's files must stay the same.  NAME_HAADF and NAME_ABF that arrive
        within it are one set.
    stop
        Ends it, once set.
    poll_s
        Seconds between two looks.

    Yields
    ------
    Sets, again when their files change; None where nothing more is ready now.

    Raises
    ------
    ReadError
        For a path that does not exist.
    """
    resting: dict[str, tuple[Stamps, float]] = {}
    given: dict[str, Stamps] = {}
    looked = -poll_s
    while not stop.is_set():
        now = time.monotonic()
        if now - looked >= poll_s:
            looked = now
            for one in group_inputs(paths, search):
                found = _stamps(one)
                if found is None or given.get(one.label) == found:
                    continue
                if one.label not in resting or resting[one.label][0] != found:
                    resting[one.label] = found, now
                if now - resting[one.label][1] >= settle_s:
                    del resting[one.label]
                    given[one.label] = found
                    yield one
        yield None
