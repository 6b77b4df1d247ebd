"""Analyse image sets one after the other: a failing one leaves a record of its failure, and the next begins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

from ..backend import Choice
from ..errors import StemdispError
from ..io.pairs import ImageSet
from ..io.text import one_line
from ..model.analysis import Analysis
from ..recipe import Recipe
from .done import why_again

log = logging.getLogger(__name__)

REPORT = "report.html"


@dataclass(frozen=True)
class Options:
    """What cannot change the numbers: where they are computed and what is written.

    ``force`` analyses again what was done before; ``keep_errors`` lets unexpected errors through with their traceback.
    """

    device: Choice = "auto"
    table: Literal["csv", "parquet"] = "csv"
    figures: bool = True
    force: bool = False
    keep_errors: bool = False


@dataclass(frozen=True)
class Outcome:
    """How one image set ended: its name and folder, and one sentence of result or reason."""

    name: str
    folder: Path
    status: Literal["done", "skipped", "failed"]
    sentence: str


class Watcher:
    """Told what happens; the base is silent."""

    def begin(self, number: int, of: int, name: str, why: str) -> None:
        """Image ``number`` (from 1) of ``of`` begins, and why it is analysed."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def end(self, outcome: Outcome) -> None:
        """The image ended."""


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 where everything is done, 1 where some failed, 3 where there was nothing."""
    if not outcomes:
        return 3
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


def describe(analysis: Analysis) -> str:
    """Counts and the strongest layer in one line."""
    from ..report.words import count, layer_sentence, strongest_layer

    columns, field, profile = analysis.columns, analysis.displacement, analysis.profile
    parts = [count(int((columns.site >= 0).sum()) if columns is not None else 0, "column")]
    if field is not None:
        parts.append(count(int(field.valid.sum()), "displacement"))
    row = strongest_layer(profile)
    if profile is not None and row is not None:
        parts.append(f"strongest {layer_sentence(profile, row)}")
    elif field is not None:
        parts.append("no layers")
    if analysis.warnings:
        parts.append(count(len(analysis.warnings), "warning"))
    return ", ".join(parts).replace("\u00a0", " ")


def _analyse(one: ImageSet, recipe: Recipe, options: Options, at: Callable[[str], None]) -> Analysis:
    """Read and analyse one image set, telling ``at`` which stage begins."""
    from ..io.read import read
    from ..pipeline import STAGES, require_pixel_size, steps

    at("read")
    image = recipe.image
    micrograph = read(*one.paths, pixel_size=image.pixel_size, name=one.name, frames=image.taken, titles=image.titles)
    require_pixel_size(micrograph, recipe)
    names = tuple(STAGES)
    at(names[0])
    following = dict(pairwise(names))
    analysis: Analysis | None = None
    for stage, known in steps(micrograph, recipe, device=options.device):
        analysis = known
        if stage in following:
            at(following[stage])
    assert analysis is not None
    return analysis


def draw(analysis: Analysis, folder: Path, record: dict[str, object], *, figures: bool) -> None:
    """Write figures and the report of an analysis into a folder."""
    from ..report import write_report

    paths: list[Path] = []
    if figures:
        from ..figures.save import save_figures

        paths = save_figures(analysis, folder / "figures")
    write_report(analysis, paths, folder / REPORT, record=record)


def write_result(
    analysis: Analysis,
    folder: Path,
    *,
    overwrite: bool = False,
    table: Literal["csv", "parquet"] = "csv",
    figures: bool = True,
    started: datetime | None = None,
) -> Path:
    """Write the result folder of an analysis with its figures and its report, as ``stemdisp run`` leaves it.

    Parameters and errors are those of :func:`stemdisp.save`; without ``figures`` the report has none.  Returns the
    folder.
    """
    from ..io.provenance import provenance
    from ..io.store import save

    return save(
        analysis,
        folder,
        overwrite=overwrite,
        table=table,
        extras=lambda new: draw(analysis, new, provenance(analysis, started), figures=figures),
        started=started,
    )


def _run_one(one: ImageSet, folder: Path, recipe: Recipe, options: Options, at: Callable[[str], None]) -> str:
    """Analyse one image set and write its folder; the sentence that says what came out."""
    started = datetime.now(UTC)
    analysis = _analyse(one, recipe, options, at)
    at("write")
    write_result(analysis, folder, overwrite=True, table=options.table, figures=options.figures, started=started)
    return describe(analysis)


def _keep_failure(folder: Path, error: Exception, stage: str) -> None:
    """Leave failure.json; where even that cannot be written the sentence on the screen has to do."""
    from ..io.store import save_failure

    try:
        save_failure(folder, error, stage)
    except (OSError, StemdispError) as second:
        log.debug("no failure.json in %s: %s", one_line(folder), one_line(second))


def sentence_of(error: Exception) -> str:
    """One line that says what went wrong; unexpected errors say so and name their class."""
    text = one_line(error, 600)
    if isinstance(error, (StemdispError, FileExistsError)):
        return text
    if isinstance(error, MemoryError):
        return "the memory of this machine does not suffice; give a smaller part of the image"
    return f"unexpected {type(error).__name__}: {text}; --debug shows where"


def run_sets(
    sets: Sequence[ImageSet], recipe: Recipe, out: Path, options: Options, watcher: Watcher | None = None
) -> Iterator[Outcome]:
    """Analyse image sets in order, each into ``out / name``; yields how each ended.

    A set whose result stands (same inputs, recipe and outputs) is skipped unless ``options.force``.
    """
    watcher = watcher or Watcher()
    digest = recipe.digest()
    for number, one in enumerate(sets, start=1):
        folder = out / one.name
        why = (
            "forced" if options.force else why_again(folder, one, digest, table=options.table, figures=options.figures)
        )
        if not why:
            outcome = Outcome(one.name, folder, "skipped", "already done with the same inputs, recipe and outputs")
        else:
            watcher.begin(number, len(sets), one.name, why)
            outcome = _outcome(one, folder, recipe, options, watcher)
        watcher.end(outcome)
        yield outcome


def _outcome(one: ImageSet, folder: Path, recipe: Recipe, options: Options, watcher: Watcher) -> Outcome:
    at = "read"

    def begin(stage: str) -> None:
        nonlocal at
        at = stage
        watcher.stage(stage)

    try:
        return Outcome(one.name, folder, "done", _run_one(one, folder, recipe, options, begin))
    except Exception as error:
        unexpected = not isinstance(error, (StemdispError, FileExistsError))
        _keep_failure(folder, error, at)
        if unexpected and options.keep_errors:
            raise
        return Outcome(one.name, folder, "failed", f"{at}: {sentence_of(error)}")
