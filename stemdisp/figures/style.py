"""How all figures look: sizes, fonts, colours, and the small print that every figure carries."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.typing import RcKeyType

from .. import __version__
from ..model.analysis import Analysis
from ..model.micrograph import Micrograph

DOUBLE_COLUMN_IN = 7.2
"""Width of two journal columns (183 mm) in inches."""

STYLE: dict[RcKeyType, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.titlelocation": "left",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "text.usetex": False,
    "mathtext.default": "regular",
    "svg.fonttype": "none",
    "svg.hashsalt": "stemdisp",
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.05,
}
"""Journal-size type, thin lines, text in SVG that an editor can still edit, and the same bytes for the same figure."""

SITE_COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#F0E442", "#D55E00")
"""Colours of sites (Okabe and Ito, jfly.uni-koeln.de/color): told apart with every colour vision."""

SITE_MARKERS = ("o", "s", "^", "D", "v", "P")

NORMAL_COLOUR = "#D55E00"
PARALLEL_COLOUR = "#0072B2"
OXYGEN_COLOUR = "#8A4B76"
VACANCY_COLOUR = "#f3e3ee"
EXTERNAL_COLOUR = "#00795C"
DOMAIN_COLOUR = "#7A0177"
INK = "#1a1a1a"
FAINT = "#8c8c8c"

MANY_MARKS = 3000
"""Above this many marks a drawing is stored as pixels inside an SVG, which would else grow to tens of megabytes."""

LOWEST_ASPECT, HIGHEST_ASPECT = 0.35, 1.25
"""Height over width that an image panel may have; images longer than that leave space beside them."""

SMALL_PRINT_CHARACTERS = 20
"""Characters of the small print that fit into one inch of the widest usual font."""


def plain(text: str) -> str:
    r"""Text that a font of Latin and Greek letters can draw: anything else, control characters included, becomes ``?``.

    >>> plain("KTO\n(111) \u03bc") == "KTO?(111) \u03bc"
    True
    """
    return "".join(letter if letter.isprintable() and ord(letter) < 0x0590 else "?" for letter in text)


def shorten(text: str, length: int = 60, *, end: bool = False) -> str:
    """Text of at most ``length`` characters, the middle (or the ``end``) left out.

    >>> shorten("a" * 40 + "b" * 40, 9)
    'aaaa…bbbb'
    """
    if len(text) <= length:
        return text
    if end:
        return f"{text[: length - 1].rstrip()}…"
    half = (length - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def aspect(micrograph: Micrograph) -> float:
    """Height over width of an image as seen, within what a page can hold."""
    ny, nx = micrograph.shape
    size = micrograph.pixel_size
    seen = ny * size.y_pm / (nx * size.x_pm) if size else ny / nx
    return float(min(max(seen, LOWEST_ASPECT), HIGHEST_ASPECT))


def size_in(ax: Axes) -> tuple[float, float]:
    """Width and height of ``ax`` in inches, as far as they are known before the figure is laid out."""
    figure = ax.get_figure(root=True)
    wide, high = figure.get_size_inches() if isinstance(figure, Figure) else (1.0, 1.0)
    place = ax.get_position()
    return float(place.width * wide), float(place.height * high)


def draw_title(figure: Figure, title: str, name: str) -> Text:
    """A title with the name of the image in it, never read as mathematics whatever a file is called."""
    text = f"{title}: {shorten(plain(name))}"
    return figure.suptitle(text, x=0.01, ha="left", fontsize=9, fontweight="bold", parse_math=False)


def draw_small_print(figure: Figure, analysis: Analysis, *sentences: str) -> Text:
    """Recipe digest, version and what the figure assumes, under everything else."""
    width = int(figure.get_figwidth() * SMALL_PRINT_CHARACTERS)
    lines = [f"stemdisp {__version__} · recipe {analysis.recipe.digest()}"]
    lines += [line for sentence in sentences if sentence for line in textwrap.wrap(plain(sentence), width)]
    return figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=5.5, color="#555555", parse_math=False)
