"""A map of vectors over the dimmed image, and the edge of the crystal on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.quiver import Quiver
from matplotlib.transforms import ScaledTranslation, Transform
from numpy.typing import NDArray

from ..model.domains import Domains
from ..model.fields import VectorField
from ..model.interface import Interface
from ..model.micrograph import Micrograph, PixelSize
from .domains import draw_domains, note
from .image import draw_image
from .scalebar import draw_scalebar, round_length
from .style import INK, MANY_MARKS, size_in
from .wheel import direction_colours, draw_wheel
from .window import NOTE, Windows, draw_windows

Floats = NDArray[np.float64]

LONG_PERCENTILE = 98
"""Vectors up to this percentile of all lengths fill the colour range and the space between two cells."""

LONG_IN_CELLS = 1.1
"""Length of such a vector on the map in distances of neighbouring cells."""

OUTLINE = 0.012
"""Width of an arrow's outline in distances of neighbouring cells: dense maps keep their colours."""

KEY_PT = 24
"""The key arrow is about this long in printer's points at least."""

LABEL_INSET = 0.015
"""Distance of layer numbers from the image's border in parts of its width."""

UNITS = {"pm": "pm", "uC/cm2": "µC/cm²"}


@dataclass(frozen=True)
class VectorMap:
    """Artists of a vector map and the scale they were drawn with.

    ``full`` is the vector length of the wheel's rim, ``px_per_unit`` how many px along x an arrow of one unit is long.
    """

    arrows: Quiver
    faint: Quiver
    wheel: list[Artist]
    key: Quiver
    full: float
    px_per_unit: float


def cell_spacing_px(field: VectorField) -> float:
    """Typical distance of neighbouring cells in px, from how many there are on the area they span."""
    xy = field.xy[np.isfinite(field.xy).all(axis=1)]
    if len(xy) < 2:
        return 20.0
    wide, high = np.maximum(np.ptp(xy, axis=0), 1.0)
    return float(np.sqrt(wide * high / len(xy)))


def long_vector(field: VectorField) -> float:
    """A round length in the field's unit that nearly all vectors stay below."""
    return round_above(field.magnitude[field.valid])


def round_above(sizes: Floats) -> float:
    """A round number that nearly all of ``sizes`` (n,), positive ones, stay below."""
    longest = float(np.percentile(sizes, LONG_PERCENTILE)) if sizes.size else 0.0
    return round_length(max(longest, 1e-6)) * (1 if longest < 1e-6 else _headroom(longest))


def _headroom(longest: float) -> float:
    """Multiple of the round length below ``longest`` that lies at or above it, in steps of a half."""
    return float(np.ceil(2 * longest / round_length(longest) - 1e-9) / 2)


def points_per_px(ax: Axes, micrograph: Micrograph) -> float:
    """How many printer's points one px is wide on the figure, as far as that is known before it is laid out."""
    return float(72 * size_in(ax)[0] / micrograph.shape[1])


def _draw_arrows(
    ax: Axes, field: VectorField, rows: NDArray[np.bool_], uv_px: Floats, full: float, *, alpha: float, outline: float
) -> Quiver:
    return ax.quiver(
        *field.xy[rows].T,
        *uv_px[rows].T,
        color=direction_colours(field.uv[rows], full),
        alpha=alpha,
        angles="xy",
        scale_units="xy",
        scale=1.0,
        units="x",
        width=0.09 * cell_spacing_px(field),
        headwidth=3.4,
        headlength=3.6,
        headaxislength=3.2,
        minshaft=1.8,
        minlength=0.3,
        edgecolor=INK,
        linewidth=outline,
        pivot="tail",
        zorder=4,
        rasterized=len(field) > MANY_MARKS,
    )


def draw_interface(ax: Axes, interface: Interface, micrograph: Micrograph) -> Line2D:
    """The edge of the crystal as a dashed line across the image."""
    dashed: dict[str, Any] = {"color": INK, "lw": 1.0, "ls": (0, (5, 2.5)), "zorder": 5}
    line: Line2D
    if interface.straight:
        along = interface.parallel / _proportions(micrograph.pixel_size)
        line = ax.axline(tuple(interface.point), tuple(interface.point + along), **dashed)
    else:
        (line,) = ax.plot(*interface.curve.T, scalex=False, scaley=False, **dashed)
    line.set_path_effects([withStroke(linewidth=2.2, foreground="white")])
    return line


def _proportions(pixel_size: PixelSize | None) -> Floats:
    """(2,) pixel width and height relative to the width."""
    return np.ones(2) if pixel_size is None else pixel_size.xy_pm / pixel_size.x_pm


def _enters(start: Floats, along: Floats, low: Floats, high: Floats) -> Floats | None:
    """Where the line ``start + t along`` enters the box from ``low`` to ``high``; None where it passes by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = np.sort(np.stack([(low - start) / along, (high - start) / along]), axis=0)
    first, last = np.nanmax(crossings[0]), np.nanmin(crossings[1])
    return start + first * along if first < last else None


def draw_layer_numbers(ax: Axes, interface: Interface, micrograph: Micrograph) -> list[Artist]:
    """The number of each layer where it enters the image; only every second, fifth ... where they would collide."""
    if micrograph.pixel_size is None:
        return []
    ny, nx = micrograph.shape
    pixel_pm = micrograph.pixel_size.xy_pm
    inset = LABEL_INSET * nx
    low, high = np.full(2, inset), np.array([nx, ny]) - 1 - inset
    apart_in = interface.spacing_pm / (ny * pixel_pm[1]) * size_in(ax)[1]
    every = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000) if step * apart_in > 0.1 or step == 1000)
    artists: list[Artist] = []
    for layer in np.unique(interface.layer[interface.layer >= 0]):
        if layer % every:
            continue
        depth_pm = 1000 * float(np.nanmean(interface.distance_nm[interface.layer == layer]))
        below = interface.curve - interface.normal * depth_pm / pixel_pm
        if interface.straight:
            place = _enters(below.mean(axis=0), interface.parallel / pixel_pm, low, high)
        else:
            place = next(iter(below[((below >= low) & (below <= high)).all(axis=1)]), None)
        if place is not None:
            label = ax.text(
                place[0], place[1], str(layer), fontsize="x-small", color=INK, ha="center", va="center", zorder=6
            )
            label.set_path_effects([withStroke(linewidth=1.8, foreground="white")])
            artists.append(label)
    return artists


def draw_vectors(
    ax: Axes,
    micrograph: Micrograph,
    field: VectorField,
    *,
    interfaces: tuple[Interface, ...] = (),
    signal: str | None = None,
    windows: tuple[Windows, ...] = (),
    domains: Domains | None = None,
) -> VectorMap:
    """Arrows coloured by direction over the dimmed image, with colour wheel, length key, scale bar and interface.

    ``interfaces`` are the edge as the crystal on each of its sides has it, each with its own layers.
    Arrows start at the centroid of the reference columns and are magnified by a factor that stands on the figure.
    Vectors that do not stand above their error are faint. ``windows`` are the vacancy-rich layers of each side:
    distances (nm) from the interface at which they begin and end. ``domains`` are walls and vortices of this field.
    """
    draw_image(ax, micrograph, signal=signal, dimmed=True)
    draw_scalebar(ax, micrograph)
    full = long_vector(field)
    pixel_pm = _pixel_pm(micrograph)
    px_per_unit = _two_digits(LONG_IN_CELLS * cell_spacing_px(field) / full * pixel_pm) / pixel_pm
    uv_px = field.uv * px_per_unit / _proportions(micrograph.pixel_size)
    judged = field.significant if field.judged else np.ones(len(field), dtype=bool)
    outline = min(OUTLINE * points_per_px(ax, micrograph) * cell_spacing_px(field), 0.3)
    faint = _draw_arrows(ax, field, field.valid & ~judged, uv_px, full, alpha=0.4, outline=outline)
    arrows = _draw_arrows(ax, field, field.valid & judged, uv_px, full, alpha=1.0, outline=outline)
    for interface in interfaces:
        draw_layer_numbers(ax, interface, micrograph)
    for interface, own in zip(interfaces, windows, strict=False):
        draw_windows(ax, interface, micrograph, own)
    if interfaces:
        draw_interface(ax, interfaces[0], micrograph)
    if domains:
        draw_domains(ax, micrograph, domains, cell_spacing_px(field))
    length = round_length(max(full, KEY_PT / (points_per_px(ax, micrograph) * px_per_unit)))
    key = _draw_key(ax, arrows, length, px_per_unit, UNITS[field.unit])
    lines = [_magnification(field, micrograph, px_per_unit)]
    if (field.valid & ~judged).any():
        lines.append(f"faint: not above its error\n({int((field.valid & ~judged).sum())} of {int(field.valid.sum())})")
    if interfaces:
        lines.append("dashed: interface;\nnumbers: layers")
        lines += [NOTE] if any(windows) else []
    lines += [note(domains)] if domains else []
    beside = _beside(ax)
    wheel = draw_wheel(ax.inset_axes((0.4, -1.3, 1.0, 1.0), transform=beside), full, UNITS[field.unit])
    ax.text(0.9, -2.1, "\n\n".join(lines), transform=beside, fontsize="x-small", ha="center", va="top")
    return VectorMap(arrows, faint, wheel, key, full, px_per_unit)


def _beside(ax: Axes) -> Transform:
    """Inches from the upper right corner of ``ax``: what explains a map keeps its size whatever the map's."""
    return ax.figure.dpi_scale_trans + ScaledTranslation(1, 1, ax.transAxes)  # type: ignore[arg-type]


def _draw_key(ax: Axes, arrows: Quiver, length: float, px_per_unit: float, unit: str) -> Quiver:
    """An arrow of round length beside the map, to the map's scale."""
    ax.text(0.9, -1.92, f"{length:g} {unit}", transform=_beside(ax), fontsize="small", ha="center")
    return ax.quiver(
        [0.9],
        [-1.7],
        [length * px_per_unit],
        [0.0],
        transform=_beside(ax),
        color=INK,
        scale_units="x",
        scale=1.0,
        units="x",
        width=arrows.width,
        headwidth=arrows.headwidth,
        headlength=arrows.headlength,
        headaxislength=arrows.headaxislength,
        minshaft=arrows.minshaft,
        pivot="middle",
        clip_on=False,
    )


def _pixel_pm(micrograph: Micrograph) -> float:
    return micrograph.pixel_size.x_pm if micrograph.pixel_size else 1.0


def _two_digits(value: float) -> float:
    """A positive number rounded to two digits, so that the factor on the figure is the one that was drawn."""
    return float(f"{value:.2g}")


def _magnification(field: VectorField, micrograph: Micrograph, px_per_unit: float) -> str:
    """How much longer than the truth the arrows are drawn."""
    if field.unit == "pm" and micrograph.pixel_size is not None:
        return f"arrows ×{px_per_unit * _pixel_pm(micrograph):.3g}"
    return f"arrows: {px_per_unit:.3g} px\nper {UNITS[field.unit]}"
