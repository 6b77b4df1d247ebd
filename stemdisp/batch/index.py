"""index.html of a batch: written whole or not at all, from what its result folders hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import StemdispError
from ..io.store import _sibling
from ..io.text import one_line
from .brief import brief_of
from .catalogue import Entry
from .pooled import pool

NAME = "index.html"

MARK = b'<meta name="generator" content="stemdisp '
"""What our pages have near their beginning; another page is not replaced."""

BEGINNING = 4096


def _is_foreign(path: Path) -> bool:
    """Whether something stands there that was not written here."""
    if not path.is_file():
        return path.is_dir() or path.is_symlink()
    with path.open("rb") as file:
        return MARK not in file.read(BEGINNING)


def write_index(out: Path, entries: Sequence[Entry]) -> Path:
    """Write ``index.html`` over all images of a batch.

    Parameters
    ----------
    out
        The output folder of the batch.
    entries
        What is in it, as :func:`stemdisp.batch.catalogue.catalogue` finds it.

    Returns
    -------
    The page.  The same results give the same bytes.

    Raises
    ------
    StemdispError
        Where it cannot be written, or something else of that name stands there.
    """
    from ..report import write_index_page

    path = out / NAME
    temporary = _sibling(path)  # a folder, which the next run takes away where this process is killed
    try:
        if _is_foreign(path):
            raise StemdispError(f"{one_line(path)} exists and is no page of stemdisp; move it away")
        briefs = [brief_of(entry) for entry in entries]
        temporary.mkdir()
        write_index_page(temporary / NAME, out.resolve().name, briefs, pool(briefs))
        os.replace(temporary / NAME, path)
    except OSError as error:
        raise StemdispError(f"{one_line(path)} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            shutil.rmtree(temporary, ignore_errors=True)
    return path
