"""The command line: what a user types, and how it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from . import __version__
from .errors import DeviceError, RecipeError, StemdispError

if TYPE_CHECKING:
    from .batch.run import Outcome
    from .io.pairs import ImageSet
    from .scene import Scene

OK, FAILED, USAGE, NO_INPUT, LOCKED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143

app = typer.Typer(
    help="How far the atoms moved in a STEM image, how sure that is, and what it says about polarization.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Zone = Annotated[str, typer.Option("--zone", help="Zone axis along the beam: 001, 1-10 ...")]


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Table(StrEnum):
    """Kind of the tables."""

    csv = "csv"
    parquet = "parquet"


class Interface(StrEnum):
    """What a simulated crystal ends at."""

    none = "none"
    amorphous = "amorphous"
    vacuum = "vacuum"


class Terminated(BaseException):
    """SIGTERM came."""


def _line(text: object) -> str:
    from .io.text import one_line

    return one_line(text, 1000)


def _end(code: int, error: object) -> NoReturn:
    typer.echo(f"error: {_line(error)}", err=True)
    raise typer.Exit(code)


def _terminate(*_: object) -> NoReturn:
    raise Terminated


@contextmanager
def _errors(code: int = FAILED, *, debug: bool = False) -> Iterator[None]:
    """End every error in one line and its exit code; ``debug`` lets unexpected ones show where they came from."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        _end(INTERRUPTED, "interrupted; what was finished is kept")
    except Terminated:
        _end(TERMINATED, "terminated; what was finished is kept")
    except BlockingIOError as error:
        _end(LOCKED, error)
    except (RecipeError, DeviceError) as error:
        _end(USAGE, error)
    except (StemdispError, FileExistsError) as error:
        _end(code, error)
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            raise
        from .batch.run import sentence_of

        _end(FAILED, sentence_of(error))
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


def _sets(paths: list[Path]) -> list[ImageSet]:
    """The image sets in files and folders; ends the program where there is none."""
    from .io.formats import SUFFIXES
    from .io.pairs import group_inputs

    try:
        sets = group_inputs(paths)
    except StemdispError as error:
        _end(NO_INPUT, error)
    if not sets:
        known = ", ".join(sorted(SUFFIXES))
        _end(NO_INPUT, f"no image in {', '.join(map(str, paths))}; files that can be read end in {known}")
    return sets


def _show(outcome: Outcome) -> None:
    """One line: results on stdout, failures on stderr."""
    from .batch.run import REPORT

    if outcome.status == "failed":
        typer.echo(f"error: {_line(outcome.name)}: {_line(outcome.sentence)}", err=True)
    else:
        typer.echo(f"{_line(outcome.name)}: {_line(outcome.sentence)}; {_line(outcome.folder / REPORT)}")


@app.command(short_help="Analyse images.")
def run(
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that gets one result folder per image.")],
    recipe: Annotated[Path | None, typer.Option("--recipe", "-r", help="Recipe (TOML).")] = None,
    material: Annotated[str | None, typer.Option("--material", help="Crystal or CIF, instead of a recipe.")] = None,
    zone: Annotated[str | None, typer.Option("--zone", help="Zone axis along the beam, with --material.")] = None,
    pixel_size: Annotated[
        str | None,
        typer.Option("--pixel-size", metavar="PM[,PM]|lattice", help="Pixel size in pm, or from the crystal."),
    ] = None,
    profile: Annotated[
        list[Path] | None, typer.Option("--profile", help="Profile measured elsewhere, as by EELS, of one image (CSV).")
    ] = None,
    device: Annotated[Device, typer.Option("--device", help="Where to compute.")] = Device.auto,
    table: Annotated[Table, typer.Option("--table", help="Kind of the tables.")] = Table.csv,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Analyse again what is already done.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an unexpected error came from.")] = False,
) -> None:
    """Analyse images: NAME_HAADF and NAME_ABF together, everything else alone.

    Exit codes: 0 all done, 1 some failed, 2 usage or recipe error, 3 no input, 4 output folder locked.
    """
    with _errors(debug=debug):
        from .backend import choose
        from .batch.lock import locked
        from .batch.progress import watching
        from .batch.run import Options, exit_code, run_sets
        from .options import of_run, with_profiles

        chosen = of_run(recipe, material, zone, pixel_size)
        choose(device.value)
        sets = _sets(paths)
        chosen = with_profiles(chosen, profile or [], sets)
        options = Options(device.value, table.value, figures=figures, force=force, keep_errors=debug)
        outcomes = []
        with locked(out), watching() as watcher:
            for outcome in run_sets(sets, chosen, out, options, watcher):
                _show(outcome)
                outcomes.append(outcome)
        raise typer.Exit(exit_code(outcomes))


@app.command(short_help="Print a recipe with every value explained.")
def recipe(
    material: Annotated[str, typer.Argument(help="Crystal, e.g. KTaO3, or a CIF file.")],
    zone: Zone,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; else it is printed.")] = None,
    moving: Annotated[str | None, typer.Option("--moving", help="Site that moves (CIF).")] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Site it is measured against (CIF).")] = None,
) -> None:
    """Print the recipe of a crystal: every value with its meaning, unit and range."""
    with _errors(USAGE):
        from .io.recipe_toml import to_toml
        from .options import of_crystal

        text = to_toml(of_crystal(material, zone, moving, reference))
        if out is None:
            typer.echo(text, nl=False)
            return
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            _end(USAGE, f"{out} exists; delete it or choose another name")
        except OSError as error:
            _end(USAGE, f"{out} cannot be written: {error.strerror}")
        typer.echo(str(_line(out)))


@app.command(short_help="Check a recipe.")
def check(path: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe (TOML).")]) -> None:
    """Say whether a recipe is valid, and its digest."""
    with _errors(USAGE):
        from .recipe import load

        found = load(path)
        typer.echo(
            f"{_line(path)} is valid: {found.material.name} along {found.material.zone}, digest {found.digest()}"
        )


@app.command(short_help="Show what is in image files.")
def inspect(
    files: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
) -> None:
    """Show every entry of files: what it is taken for, size in px (x, y), type, pixel size, range of values.

    Below stands what is left out and why, and what would be analysed; a signal in brackets is named but left out.
    """
    with _errors():
        from rich.console import Console
        from rich.markup import escape
        from rich.padding import Padding
        from rich.table import Table as RichTable

        from .io.inspect import contents

        console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
        failed = False
        for path in files:
            try:
                found = contents(path)
            except StemdispError as error:
                failed = True
                typer.echo(f"error: {_line(error)}", err=True)
                continue
            table = RichTable("#", "title", "signal", "px", "frames", "type", "pixel size", "min", "max", box=None)
            for one in found.entries:
                table.add_row(*(escape(_line(cell)) for cell in vars(one).values()))
            console.print(escape(_line(found.heading)))
            console.print(table)
            for sentence in (*found.notes, found.verdict):
                console.print(Padding(escape(_line(sentence)), (0, 0, 0, 2)))
        raise typer.Exit(FAILED if failed else OK)


def _scene(zone: str, size: str, pixel_size: float, interface: Interface, values: dict[str, Any]) -> Scene:
    """The scene that the options of ``simulate`` ask for."""
    from .materials import parse_zone
    from .motion import Motion
    from .options import numbers
    from .scene import Dose, Edge, Look, Scene, View

    nx, ny = (round(v) for v in numbers(size, "--size"))
    if not (32 <= nx <= 16384 and 32 <= ny <= 16384):
        raise RecipeError(f"--size {size}: each side must lie between 32 and 16384 px")
    if not 0.5 <= pixel_size <= 200:
        raise RecipeError(f"--pixel-size {pixel_size:g}: must lie between 0.5 and 200 pm")
    seen = parse_zone(zone)
    edge = None
    if interface is not Interface.none:
        plane = (1, 1, 1) if seen == (1, -1, 0) else (1, 0, 0)
        beyond: Literal["amorphous", "vacuum"] = "vacuum" if interface is Interface.vacuum else "amorphous"
        edge = Edge(plane=plane, offset_A=0.2 * ny * pixel_size / 100, beyond=beyond)
    scene = Scene(
        zone=seen,
        signals=("HAADF", "ABF") if values["abf"] else ("HAADF",),
        view=View(pixel_size_pm=(pixel_size, pixel_size), shape=(ny, nx)),
        look=Look(tail=0.1),
        dose=Dose(peak_counts=values["dose"], dtype="uint16"),
        motion=Motion(normal_pm=values["normal"], parallel_pm=values["parallel"])
        if edge
        else Motion(uniform_pm=(values["parallel"], -values["normal"])),
        edge=edge,
        seed=values["seed"],
    )
    return scene.facing(90.0) if edge else scene


@app.command(short_help="Make a synthetic image with known displacements.")
def simulate(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder, or FILE.tif: FILE is then the images' common name.")
    ],
    zone: Zone = "1-10",
    size: Annotated[str, typer.Option("--size", metavar="NX[,NY]", help="Width and height in px.")] = "512",
    pixel_size: Annotated[float, typer.Option("--pixel-size", help="Pixel size in pm.")] = 10.0,
    dose: Annotated[float, typer.Option("--dose", min=1, help="Counts of the brightest peak.")] = 500.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random numbers.")] = 0,
    interface: Annotated[Interface, typer.Option("--interface", help="What ends the crystal.")] = Interface.amorphous,
    normal: Annotated[float, typer.Option("--normal", help="Displacement out of the crystal in pm, layer 0.")] = 8.0,
    parallel: Annotated[float, typer.Option("--parallel", help="Displacement along the edge in pm, layer 0.")] = 24.0,
    abf: Annotated[bool, typer.Option("--abf/--no-abf", help="Make an ABF image too.")] = True,
) -> None:
    """Make a synthetic KTaO3 image with known displacements: NAME_HAADF.tif, NAME_ABF.tif and NAME_truth.csv.

    Below an interface the displacement decays over three layers; without one it is uniform (parallel right, normal up).
    """
    with _errors():
        from .io.simulated import save_simulated
        from .synthetic import simulate as make

        values = {"dose": dose, "seed": seed, "normal": normal, "parallel": parallel, "abf": abf}
        scene = _scene(zone, size, pixel_size, interface, values)
        is_file = out.suffix.lower() in (".tif", ".tiff")
        base = out.with_suffix("") if is_file else out / f"KTaO3_{zone.strip('[]').replace(' ', '')}_seed{seed}"
        for path in save_simulated(*make(scene), base):
            typer.echo(_line(path))


@app.command(short_help="Draw figures and report of saved results again.")
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RESULT_FOLDER...", help="Folders that run wrote.")],
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures.")] = True,
) -> None:
    """Draw figures and report.html of saved results again; tables stay as they are."""
    with _errors():
        from .batch.run import REPORT, draw
        from .io.redraw import redraw
        from .io.store import load

        for folder in folders:
            analysis = load(folder)

            def again(new: Path, record: dict[str, Any], analysis: Any = analysis) -> None:
                draw(analysis, new, record, figures=figures)

            typer.echo(_line(redraw(folder, again) / REPORT))


@app.command(short_help="Say what is installed, and how fast it fits.")
def doctor() -> None:
    """Say what is installed, which devices compute, and how fast and how well each fits a trial image."""
    with _errors():
        from .doctor import show

        show(width=None if sys.stdout.isatty() else 200)


def main() -> None:
    """Entry point of ``stemdisp``."""
    app(prog_name="stemdisp")


if __name__ == "__main__":
    main()
