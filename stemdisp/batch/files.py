"""Folders of images from Python, as ``stemdisp run`` does them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import ReadError
from ..io.pairs import group_inputs
from ..io.search import Search
from ..recipe import Recipe
from .job import Options, Outcome
from .run import Terms, run_sets


def analyse_files(
    paths: Sequence[str | os.PathLike[str]],
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    recursive: bool = False,
    jobs: int | None = None,
    scheduler: str | None = None,
    figures: bool = True,
    force: bool = False,
) -> list[Outcome]:
    """Analyse many images, each into a result folder of its own; what is done already is skipped.

    Parameters
    ----------
    paths
        Images, folders of images, or patterns; NAME_HAADF and NAME_ABF are analysed together.
    recipe
        What to do with each.
    out
        Folder that gets the result folders.
    recursive
        Whether folders within folders are searched.
    jobs
        Images at a time; None: as many as there are processors, 0: one after the other in this process.
    scheduler
        Address of a Dask scheduler (tcp://HOST:8786, or the .json file that holds it) whose workers do it, or "local".
    figures
        Whether figures are drawn.
    force
        Whether to repeat what is done, and what failed.

    Returns
    -------
    How each image ended, in the order in which they did: ``name``, ``folder``, ``status`` ("done", "skipped" as its
    result stands, "failed", "stands" as it failed before and nothing has changed) and ``sentence``.

    Raises
    ------
    ReadError
        Where there is no image.
    BlockingIOError
        Where another run works in ``out``.
    DeviceError
        Where no scheduler answers.
    StemdispError
        Where ``out`` cannot be written.
    """
    sets = group_inputs(paths, Search(recursive=recursive, output=Path(out)))
    if not sets:
        raise ReadError(f"no image in {', '.join(map(str, paths))}")
    terms = Terms(jobs=jobs, scheduler=scheduler, force=force)
    return list(run_sets(sets, recipe, Path(out), Options(figures=figures), terms=terms))
