"""Exchange what was drawn from a result, and nothing else of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from . import store
from .provenance import sha256

DRAWN = ("figures/", "report.html")
"""How the names of outputs begin that are drawn from the numbers and may be drawn again."""


def redraw(folder: str | os.PathLike[str], draw: Callable[[Path, dict[str, Any]], None]) -> Path:
    """Make the figures and the report of a result again.

    Parameters
    ----------
    folder
        A result folder.
    draw
        Called with an unfinished folder to draw into, and the commit record of the result.

    Returns
    -------
    The folder: tables and all other numbers are the files they were, with the hashes they had; the commit record names
    the new drawings, when they were made and by which version.

    Raises
    ------
    ReadError
        Where there is no complete result.
    StemdispError
        Where the folder cannot be written.
    """
    folder = Path(folder)
    record = store.record_of(folder)
    kept = {name: digest for name, digest in record.get("outputs", {}).items() if not name.startswith(DRAWN)}
    with store._replacing(folder, overwrite=True) as new:
        draw(new, record)
        drawn = {path.relative_to(new).as_posix(): sha256(path) for path in store._files(new)}
        for name in kept:
            if (folder / name).is_file():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(folder / name, new / name)
        redrawn = {"stemdisp": __version__, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        store._write_json(
            new / store.RECORD, {**record, "redrawn": redrawn, "outputs": dict(sorted({**kept, **drawn}.items()))}
        )
    return folder
