"""``stemdisp run``: analyse images, one or thousands."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import RecipeError, StemdispError
from .frame import INTERRUPTED, NO_INPUT, app, end, errors, line

if TYPE_CHECKING:
    from ..batch.job import Outcome
    from ..batch.run import Terms
    from ..io.pairs import ImageSet
    from ..io.search import Search
    from ..recipe import Recipe


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Table(StrEnum):
    """Kind of the tables."""

    csv = "csv"
    parquet = "parquet"


class LogFormat(StrEnum):
    """What is printed while images are analysed."""

    text = "text"
    jsonl = "jsonl"


def _sets(paths: list[Path], search: Search) -> list[ImageSet]:
    """The image sets in files and folders; ends the program where there is none."""
    from ..io.formats import SUFFIXES
    from ..io.pairs import group_inputs

    try:
        sets = group_inputs(paths, search)
    except StemdispError as error:
        end(NO_INPUT, error)
    if not sets:
        known = ", ".join(sorted(SUFFIXES))
        fit = " that fits --include and --exclude" if search.include or search.exclude else ""
        end(NO_INPUT, f"no image{fit} in {', '.join(map(str, paths))}; files that can be read end in {known}")
    return sets


def _jobs(text: str) -> int | None:
    """Number of images at a time; None for as many as there are processors."""
    if text.strip().lower() == "auto":
        return None
    if text.strip().isdecimal() and int(text) <= 1024:
        return int(text)
    raise RecipeError(f"--jobs {text!r}: must be auto, or a number up to 1024 (0: in this process, without limits)")


def _outside(out: Path, paths: Sequence[Path]) -> None:
    """Refuse results between the images they are made from."""
    for path in paths:
        if path.is_dir() and path.resolve() == out.resolve():
            raise RecipeError(f"--out {out} is the folder of the images; choose another, such as {out / 'results'}")


def _show(outcome: Outcome) -> None:
    """One line: results on stdout, failures on stderr."""
    from ..batch.result import REPORT

    if outcome.status in ("failed", "stands"):
        typer.echo(f"error: {line(outcome.name)}: {line(outcome.sentence)}", err=True)
    else:
        typer.echo(f"{line(outcome.name)}: {line(outcome.sentence)}; {line(outcome.folder / REPORT)}")


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """The first Ctrl-C lets what runs come to its end, the second ends it."""

    def first(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        typer.echo("stopping when the running images are done; Ctrl-C again stops at once", err=True)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _dry(sets: list[ImageSet], recipe: Recipe, out: Path, options: Any, terms: Terms) -> None:
    """Say what would be done, and write nothing."""
    from ..batch.hashes import Hashes
    from ..batch.job import Job
    from ..batch.run import STATE, plan

    begun = 0
    for one in plan(sets, recipe, out, Hashes(out / STATE, keep=False), options, terms):
        if isinstance(one, Job):
            begun += 1
            why = one.why if terms.limit is None or begun <= terms.limit else f"{one.why}; beyond --limit"
            typer.echo(f"{line(one.name)}: would be analysed ({why})")
        else:
            typer.echo(f"{line(one.name)}: {line(one.sentence)}")


def _summary(outcomes: Sequence[Outcome], seconds: float, *, stopped: bool) -> None:
    """The last line of a batch of several images."""
    counted = {name: sum(one.status == name for one in outcomes) for name in ("done", "skipped", "failed", "stands")}
    words = {"done": "analysed", "skipped": "already done", "failed": "failed", "stands": "failed before"}
    parts = [f"{number} {words[name]}" for name, number in counted.items() if number]
    hint = "; --retry-failed tries again what failed before" if counted["stands"] else ""
    begun = "stopped: " if stopped else ""
    typer.echo(f"{begun}{', '.join(parts) or 'nothing done'} in {seconds:.1f} s{hint}", err=True)


def _index(out: Path) -> str:
    """Write the page over all images; its path, or a sentence that says why there is none: the results stand anyway."""
    from ..batch.catalogue import catalogue
    from ..batch.index import write_index
    from ..batch.work import sentence_of

    try:
        return line(write_index(out, catalogue(out)))
    except Exception as error:
        return f"no page over all images: {line(sentence_of(error))}"


Paths = Annotated[list[Path], typer.Argument(help="Images, folders of images, or patterns.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder that gets one result folder per image.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", "-r", help="Recipe (TOML).")]
Material = Annotated[str | None, typer.Option("--material", help="Crystal or CIF, instead of a recipe.")]
Zone = Annotated[str | None, typer.Option("--zone", help="Zone axis along the beam, with --material.")]
PIXEL_SIZE = typer.Option("--pixel-size", metavar="PM[,PM]|lattice", help="Pixel size in pm, or from the crystal.")
PixelSize = Annotated[str | None, PIXEL_SIZE]
SET = typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Value of the recipe; may be repeated.")
Values = Annotated[list[str] | None, SET]
PROFILE = typer.Option("--profile", help="Profile measured elsewhere, as by EELS, of one image (CSV).")
Profiles = Annotated[list[Path] | None, PROFILE]
Recursive = Annotated[bool, typer.Option("--recursive", "-R", help="Search folders within folders too.")]
Include = Annotated[list[str] | None, typer.Option("--include", metavar="GLOB", help="Only files that fit.")]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", metavar="GLOB", help="No files that fit.")]
Jobs = Annotated[str, typer.Option("--jobs", "-j", metavar="N|auto", help="Images at a time; 0: in this process.")]
SCHEDULER = typer.Option("--scheduler", metavar="ADDRESS|local", help="Workers of a Dask scheduler: tcp://HOST:8786.")
Scheduler = Annotated[str | None, SCHEDULER]
Where = Annotated[Device, typer.Option("--device", help="Where to compute.")]
Tables = Annotated[Table, typer.Option("--table", help="Kind of the tables.")]
Figures = Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and why; write nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Analyse again what is already done.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Begin nothing more after a failure.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Analyse no more images than this.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=1, help="Seconds that an image may take.")]
MEMORY = typer.Option("--max-memory", min=0.25, metavar="GB", help="Memory that an image may take.")
Memory = Annotated[float | None, MEMORY]
Log = Annotated[LogFormat, typer.Option("--log-format", help="What is printed.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an unexpected error came from.")]


@app.command(short_help="Analyse images.")
def run(
    paths: Paths,
    out: Out,
    recipe: RecipeFile = None,
    material: Material = None,
    zone: Zone = None,
    pixel_size: PixelSize = None,
    values: Values = None,
    profile: Profiles = None,
    recursive: Recursive = False,
    include: Include = None,
    exclude: Exclude = None,
    jobs: Jobs = "auto",
    scheduler: Scheduler = None,
    device: Where = Device.auto,
    table: Tables = Table.csv,
    figures: Figures = True,
    dry_run: DryRun = False,
    force: Force = False,
    retry_failed: Retry = False,
    fail_fast: FailFast = False,
    limit: Limit = None,
    timeout: Timeout = None,
    max_memory: Memory = None,
    log_format: Log = LogFormat.text,
    debug: Debug = False,
) -> None:
    """Analyse images: NAME_HAADF and NAME_ABF together, everything else alone.

    What is done already is skipped. The first Ctrl-C waits for running images, the second does not.

    Exit codes: 0 all done, 1 some failed now or before, 2 usage or recipe error, 3 no input, 4 output folder locked.
    """
    with errors(debug=debug):
        from ..backend import choose
        from ..batch.job import Options, exit_code
        from ..batch.run import Terms
        from ..io.search import Search
        from ..options import of_run, with_profiles

        chosen = of_run(recipe, material, zone, pixel_size, values or ())
        terms = Terms(
            jobs=0 if debug else _jobs(jobs),
            scheduler=scheduler,
            timeout_s=timeout,
            memory=None if max_memory is None else int(max_memory * 1e9),
            force=force,
            retry_failed=retry_failed or debug,
            fail_fast=fail_fast,
            limit=limit,
        )
        choose(device.value)
        _outside(out, paths)
        sets = _sets(paths, Search(recursive, tuple(include or ()), tuple(exclude or ()), out))
        chosen = with_profiles(chosen, profile or [], sets)
        options = Options(device.value, table.value, figures=figures, debug=debug)
        if dry_run:
            _dry(sets, chosen, out, options, terms)
            return
        outcomes, stopped = _go(sets, chosen, out, options, terms, jsonl=log_format is LogFormat.jsonl)
        raise typer.Exit(INTERRUPTED if stopped else exit_code(outcomes))


def _go(
    sets: list[ImageSet], recipe: Recipe, out: Path, options: Any, terms: Terms, *, jsonl: bool
) -> tuple[list[Outcome], bool]:
    """Run the batch; how each image ended, and whether it was stopped before the end."""
    from ..batch.progress import watching
    from ..batch.run import Watcher, run_sets

    outcomes, stop, began = [], threading.Event(), time.monotonic()
    with _stopping(stop), nullcontext(Watcher()) if jsonl else watching() as watcher:
        events = sys.stdout if jsonl else None
        for outcome in run_sets(sets, recipe, out, options, terms=terms, watcher=watcher, events=events, stop=stop):
            if not jsonl:
                _show(outcome)
            outcomes.append(outcome)
    if len(sets) > 1 and not jsonl:
        _summary(outcomes, time.monotonic() - began, stopped=stop.is_set())
    if len(sets) > 1 and any(one.status in ("done", "failed") for one in outcomes):
        said = _index(out)
        if not jsonl:
            typer.echo(said, err=True)
    return outcomes, stop.is_set()
