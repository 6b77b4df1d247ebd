"""Write every figure an analysis supports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from ..model.analysis import Analysis
from .composites import (
    compose_columns,
    compose_components,
    compose_directions,
    compose_displacement,
    compose_layers,
    compose_layers_beyond,
    compose_polarization,
)
from .maps import compose_maps
from .style import STYLE

PNG_DPI = 200

FIGURES: dict[str, Callable[[Analysis], Figure | None]] = {
    "columns": compose_columns,
    "displacement": compose_displacement,
    "components": compose_components,
    "layers": compose_layers,
    "layers_beyond": compose_layers_beyond,
    "directions": compose_directions,
    "polarization": compose_polarization,
    "maps": compose_maps,
}
"""File stem -> function that draws the figure, or returns None where the analysis did not come that far."""


def save_figures(analysis: Analysis, folder: str | Path) -> list[Path]:
    """Write PNG (200 dpi) and SVG of each figure into ``folder`` (made if absent).

    Returns the paths in the order drawn. The same analysis gives the same bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    with rc_context(STYLE):
        for name, compose in FIGURES.items():
            figure = compose(analysis)
            if figure is None:
                continue
            figure.draw_without_rendering()  # the layout of images with fixed proportions settles at the second drawing
            for path, metadata in (
                (folder / f"{name}.png", {"Software": None}),
                (folder / f"{name}.svg", {"Date": None}),
            ):
                figure.savefig(path, dpi=PNG_DPI, metadata=metadata)
                paths.append(path)
    return paths
