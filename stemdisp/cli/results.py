"""Commands about what ``stemdisp run`` left: draw it again, list it, check it, tidy it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ReadError
from .frame import FAILED, OK, app, errors, line

Out = Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of stemdisp run.")]


def _redraw(folder: Path, *, figures: bool) -> Path:
    """Draw figures and report of one result again."""
    from ..batch.result import REPORT, draw
    from ..io.redraw import redraw
    from ..io.store import load

    analysis = load(folder)

    def again(new: Path, record: dict[str, Any]) -> None:
        draw(analysis, new, record, figures=figures)

    return redraw(folder, again) / REPORT


@app.command(short_help="Draw reports of saved results again, or an index of many.")
def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Result folders, or the output folder of a batch.")
    ],
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures.")] = True,
) -> None:
    """Draw figures and report.html of saved results again; tables stay as they are.

    Of the output folder of a batch, write index.html: every image with its status, and layer profiles over all of them.
    """
    with errors():
        from ..batch.catalogue import catalogue, is_result
        from ..batch.index import write_index

        for folder in folders:
            if is_result(folder):
                typer.echo(line(_redraw(folder, figures=figures)))
            else:
                typer.echo(line(write_index(folder, catalogue(folder))))


@app.command(short_help="List what a batch has done.")
def status(out: Out) -> None:
    """List the images of an output folder: how many are done, and why others failed.

    Exit codes: 0 nothing failed, 1 something did.
    """
    with errors():
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        from ..batch.catalogue import catalogue
        from ..batch.lock import holder

        entries = catalogue(out)
        table = Table("image", "status", "", box=None)
        for entry in entries:
            table.add_row(*(escape(line(cell)) for cell in (entry.label, entry.status, entry.sentence)))
        Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
        failed = sum(entry.status != "done" for entry in entries)
        typer.echo(f"{len(entries) - failed} done, {failed} failed")
        if (who := holder(out)) is not None:
            typer.echo(f"a run is at work here ({line(who)})")
        raise typer.Exit(FAILED if failed else OK)


@app.command(short_help="Check that results are as they were written.")
def verify(out: Out) -> None:
    """Read every file of every result, and compare it with the hash in its commit record.

    Exit codes: 0 everything is as it was written, 1 something is not.
    """
    with errors():
        from ..batch.catalogue import catalogue
        from ..batch.catalogue import verify as check

        entries = catalogue(out)
        wrong = [sentence for entry in entries for sentence in check(entry)]
        for sentence in wrong:
            typer.echo(f"error: {line(sentence)}", err=True)
        done = sum(entry.status == "done" for entry in entries)
        typer.echo(f"{done} results checked, {len(wrong)} files are not as they were written")
        raise typer.Exit(FAILED if wrong else OK)


@app.command(short_help="Take away what interrupted runs left.")
def clean(
    out: Out,
    failed: Annotated[bool, typer.Option("--failed", help="Forget failures too: they are tried again.")] = False,
) -> None:
    """Take away unfinished folders; results, and files that are not stemdisp's, stay."""
    with errors():
        from ..batch.catalogue import forget_failures
        from ..batch.lock import locked
        from ..io.leftovers import sweep

        if not out.is_dir():
            raise ReadError(f"{line(out)}: no such folder")
        with locked(out):
            for folder in [*sweep(out), *(forget_failures(out) if failed else [])]:
                typer.echo(line(folder))
