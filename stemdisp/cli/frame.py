"""How commands begin and end: the program, its exit codes, and one line for every error."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer

from .. import __version__
from ..errors import DeviceError, RecipeError, StemdispError

OK, FAILED, USAGE, NO_INPUT, LOCKED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143

app = typer.Typer(
    help="How far the atoms moved in a STEM image, how sure that is, and what it says about polarization.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Terminated(BaseException):
    """SIGTERM came."""


def line(text: object) -> str:
    """A text from outside on one line, fit to be printed."""
    from ..io.text import one_line

    return one_line(text, 1000)


def end(code: int, error: object) -> NoReturn:
    """End the program with one line."""
    typer.echo(f"error: {line(error)}", err=True)
    raise typer.Exit(code)


def _terminate(*_: object) -> NoReturn:
    raise Terminated


@contextmanager
def errors(code: int = FAILED, *, debug: bool = False) -> Iterator[None]:
    """End every error in one line and its exit code; ``debug`` lets unexpected ones show where they came from."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        end(INTERRUPTED, "interrupted; what was finished is kept")
    except Terminated:
        end(TERMINATED, "terminated; what was finished is kept")
    except BlockingIOError as error:
        end(LOCKED, error)
    except (RecipeError, DeviceError) as error:
        end(USAGE, error)
    except (StemdispError, FileExistsError) as error:
        end(code, error)
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            raise
        from ..batch.work import sentence_of

        end(FAILED, sentence_of(error))
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"stemdisp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
