"""``stemdisp run``: analyse images, one or thousands."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import RecipeError, StemdispError
from .frame import INTERRUPTED, NO_INPUT, OK, app, end, errors, line

if TYPE_CHECKING:
    from ..batch.job import Options, Outcome
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
def _stopping() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, to let what runs come to its end; the second ends it."""
    stop = threading.Event()

    def first(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        typer.echo("stopping when the running images are done; Ctrl-C again stops at once", err=True)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


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


@dataclass(frozen=True)
class _Batch:
    """What is to be done with images, whichever they are; every way to do it returns an exit code."""

    recipe: Recipe
    out: Path
    options: Options
    terms: Terms
    jsonl: bool

    def dry(self, sets: list[ImageSet]) -> int:
        """Say what would be done, and write nothing."""
        from ..batch.hashes import Hashes
        from ..batch.job import Job
        from ..batch.run import STATE, plan

        begun, hashes = 0, Hashes(self.out / STATE, keep=False)
        for one in plan(sets, self.recipe, self.out, hashes, self.options, self.terms):
            if isinstance(one, Job):
                begun += 1
                beyond = self.terms.limit is not None and begun > self.terms.limit
                typer.echo(f"{line(one.name)}: would be analysed ({one.why}{'; beyond --limit' if beyond else ''})")
            elif one is not None:
                typer.echo(f"{line(one.name)}: {line(one.sentence)}")
        return OK

    def go(self, sets: list[ImageSet]) -> int:
        """Analyse the images there are."""
        from ..batch.job import exit_code

        with _stopping() as stop:
            outcomes = self._run(sets, stop)
        return INTERRUPTED if stop.is_set() else exit_code(outcomes)

    def watch(self, paths: list[Path], search: Search, settle_s: float) -> int:
        """Analyse images as they arrive, until Ctrl-C."""
        from ..batch.job import exit_code
        from ..batch.watch import arriving

        with _stopping() as stop:
            outcomes = self._run(arriving(paths, search, settle_s=settle_s, stop=stop), stop)
        return exit_code(outcomes) if outcomes else OK

    def _run(self, sets: Iterable[ImageSet | None], stop: threading.Event) -> list[Outcome]:
        """Run the batch and say how each image ended."""
        from ..batch.progress import watching
        from ..batch.run import Watcher, run_sets

        outcomes, began = [], time.monotonic()
        with nullcontext(Watcher()) if self.jsonl else watching() as watcher:
            events = sys.stdout if self.jsonl else None
            asked = (sets, self.recipe, self.out, self.options)
            for outcome in run_sets(*asked, terms=self.terms, watcher=watcher, events=events, stop=stop):
                if not self.jsonl:
                    _show(outcome)
                outcomes.append(outcome)
        if len(outcomes) != 1 and not self.jsonl:
            _summary(outcomes, time.monotonic() - began, stopped=stop.is_set())
        if len(outcomes) > 1 and any(one.status in ("done", "failed") for one in outcomes):
            said = _index(self.out)
            if not self.jsonl:
                typer.echo(said, err=True)
        return outcomes


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
SCHEDULER = typer.Option(
    "--scheduler", metavar="ADDRESS|local", help="Workers of a Dask scheduler, as tcp://HOST:8786."
)
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
Watch = Annotated[bool, typer.Option("--watch", help="Go on with images that arrive, until Ctrl-C.")]
Settle = Annotated[float, typer.Option("--settle", min=0, metavar="S", help="Seconds without change, with --watch.")]
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
    watch: Watch = False,
    settle: Settle = 10.0,
    log_format: Log = LogFormat.text,
    debug: Debug = False,
) -> None:
    """Analyse images: NAME_HAADF and NAME_ABF together, everything else alone.

    What is done already is skipped. The first Ctrl-C waits for running images, the second does not.

    Exit codes: 0 all done, 1 some failed now or before, 2 usage or recipe error, 3 no input, 4 output folder locked.
    """
    with errors(debug=debug):
        from ..backend import choose
        from ..batch.job import Options
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
        search = Search(recursive, tuple(include or ()), tuple(exclude or ()), out)
        options = Options(device.value, table.value, figures=figures, debug=debug)
        batch = _Batch(chosen, out, options, terms, log_format is LogFormat.jsonl)
        if watch:
            _refuse_with_watch(dry_run, profile)
            raise typer.Exit(batch.watch(paths, search, settle))
        sets = _sets(paths, search)
        batch = replace(batch, recipe=with_profiles(chosen, profile or [], sets))
        raise typer.Exit(batch.dry(sets) if dry_run else batch.go(sets))


def _refuse_with_watch(dry_run: bool, profile: Sequence[Path] | None) -> None:
    if dry_run or profile:
        raise RecipeError(f"--watch and {'--dry-run' if dry_run else '--profile'} exclude each other")
