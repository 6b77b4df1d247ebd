"""Commands around an analysis: recipes, what is in files, synthetic images, what is installed."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import RecipeError, StemdispError
from .frame import FAILED, OK, USAGE, app, end, errors, line

if TYPE_CHECKING:
    from ..scene import Scene

Zone = Annotated[str, typer.Option("--zone", help="Zone axis along the beam: 001, 1-10 ...")]


class Interface(StrEnum):
    """What a simulated crystal ends at."""

    none = "none"
    amorphous = "amorphous"
    vacuum = "vacuum"


@app.command(short_help="Print a recipe with every value explained.")
def recipe(
    material: Annotated[str, typer.Argument(help="Crystal, e.g. KTaO3, or a CIF file.")],
    zone: Zone,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; else it is printed.")] = None,
    moving: Annotated[str | None, typer.Option("--moving", help="Site that moves (CIF).")] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Site it is measured against (CIF).")] = None,
) -> None:
    """Print the recipe of a crystal: every value with its meaning, unit and range."""
    with errors(USAGE):
        from ..io.recipe_toml import to_toml
        from ..options import of_crystal

        text = to_toml(of_crystal(material, zone, moving, reference))
        if out is None:
            typer.echo(text, nl=False)
            return
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            end(USAGE, f"{out} exists; delete it or choose another name")
        except OSError as error:
            end(USAGE, f"{out} cannot be written: {error.strerror}")
        typer.echo(str(line(out)))


@app.command(short_help="Check a recipe.")
def check(path: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe (TOML).")]) -> None:
    """Say whether a recipe is valid, and its digest."""
    with errors(USAGE):
        from ..recipe import load

        found = load(path)
        typer.echo(f"{line(path)} is valid: {found.material.name} along {found.material.zone}, digest {found.digest()}")


@app.command(short_help="Show what is in image files.")
def inspect(
    files: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
) -> None:
    """Show every entry of files: what it is taken for, size in px (x, y), type, pixel size, range of values.

    Below stands what is left out and why, and what would be analysed; a signal in brackets is named but left out.
    """
    with errors():
        from rich.console import Console
        from rich.markup import escape
        from rich.padding import Padding
        from rich.table import Table as RichTable

        from ..io.inspect import contents

        console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
        failed = False
        for path in files:
            try:
                found = contents(path)
            except StemdispError as error:
                failed = True
                typer.echo(f"error: {line(error)}", err=True)
                continue
            table = RichTable("#", "title", "signal", "px", "frames", "type", "pixel size", "min", "max", box=None)
            for one in found.entries:
                table.add_row(*(escape(line(cell)) for cell in vars(one).values()))
            console.print(escape(line(found.heading)))
            console.print(table)
            for sentence in (*found.notes, found.verdict):
                console.print(Padding(escape(line(sentence)), (0, 0, 0, 2)))
        raise typer.Exit(FAILED if failed else OK)


def _scene(zone: str, size: str, pixel_size: float, interface: Interface, values: dict[str, Any]) -> Scene:
    """The scene that the options of ``simulate`` ask for."""
    from ..materials import parse_zone
    from ..motion import Motion
    from ..options import numbers
    from ..scene import Dose, Edge, Look, Scene, View

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
    with errors():
        from ..io.simulated import save_simulated
        from ..synthetic import simulate as make

        values = {"dose": dose, "seed": seed, "normal": normal, "parallel": parallel, "abf": abf}
        scene = _scene(zone, size, pixel_size, interface, values)
        is_file = out.suffix.lower() in (".tif", ".tiff")
        base = out.with_suffix("") if is_file else out / f"KTaO3_{zone.strip('[]').replace(' ', '')}_seed{seed}"
        for path in save_simulated(*make(scene), base):
            typer.echo(line(path))


@app.command(short_help="Say what is installed, and how fast it fits.")
def doctor() -> None:
    """Say what is installed, which devices compute, and how fast and how well each fits a trial image."""
    with errors():
        from ..doctor import show

        show(width=None if sys.stdout.isatty() else 200)


@app.command(short_help="Analyse images whose truth is known, and say how well.")
def selftest() -> None:
    """Analyse images whose truth is known on this machine; a verdict on each promise (about 20 s).

    Exit codes: 0 all are kept, 1 one is not.
    """
    with errors():
        from ..selftest import verdicts

        kept = True
        for one in verdicts():
            kept &= one.good
            typer.echo(f"{'yes' if one.good else 'NO ':<4} {one.what}: {one.found} (wanted: {one.wanted})")
        typer.echo("every promise is kept" if kept else "a promise is broken: please report it, with stemdisp doctor")
        raise typer.Exit(OK if kept else FAILED)
