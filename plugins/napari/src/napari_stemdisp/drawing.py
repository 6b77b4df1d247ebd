"""What an analysis looks like on the canvas: columns, lattice, cells of each layer, and where a layer was chosen.

Numbers are the core's, and so are the colours; here they only become layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from napari.layers import Points, Shapes
from numpy.typing import NDArray

from stemdisp import Analysis, Columns, Flag, Micrograph
from stemdisp.figures.image import DIMMED_LEVELS
from stemdisp.figures.style import SITE_COLOURS, VACANCY_COLOUR
from stemdisp.figures.vectors import cell_spacing_px
from stemdisp.flags import each_named

from .layers import KEY, Keeper, give, grid_of, place

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RING, COLUMN = 0.5, 0.26
"""Diameter of a preview's ring, and of a column, in shortest distances of columns."""

PREVIEW_COLOUR, UNKNOWN_COLOUR, EXCLUDED_COLOUR = "#F0E442", "#BBBBBB", "#D62728"
EVEN_COLOUR, ODD_COLOUR, MARK_COLOUR = "#5B8DB8", "#C9D6E2", "#FFD23F"

OUTLINE = 0.18
"""Width of a column's ring in parts of its diameter."""

FINE: dict[str, Any] = {"canvas_size_limits": (1, 10000), "antialiasing": 0.25}
"""How small points may become on the screen, and how soft their rims are, in its px: with napari's own (2 and 1) a
hundred thousand columns hide the image, and take more than twice as long to draw."""


def at(xy: Floats) -> Floats:
    """(N, 2) points (x, y) as napari has them (row, column)."""
    return np.ascontiguousarray(xy[:, ::-1], dtype=float)


def spacing_px(columns: Columns) -> float:
    """Typical distance of neighbouring columns, from how many there are on the area they span."""
    xy = columns.xy[np.isfinite(columns.xy).all(axis=1)]
    if len(xy) < 2:
        return 20.0
    return float(np.sqrt(np.prod(np.maximum(np.ptp(xy, axis=0), 1.0)) / len(xy)))


def _points(micrograph: Micrograph, name: str, **style: Any) -> Points:
    return Points(np.zeros((0, 2)), ndim=2, name=name, **FINE, **style, **grid_of(micrograph))


def dim(keeper: Keeper, *, light: bool) -> None:
    """Show images as the light background of the report's maps, on which arrows of every colour can be read, or as the
    user had them."""
    for layer in keeper.signals():
        own = layer.metadata[KEY]
        before = own.get("limits")
        if light and before is None:
            low, high = layer.contrast_limits
            span = (high - low) or 1.0
            layer.metadata = {**layer.metadata, KEY: {**own, "limits": (low, high)}}
            layer.contrast_limits_range = (low + DIMMED_LEVELS[0] * span, low + DIMMED_LEVELS[1] * span)
            layer.contrast_limits = layer.contrast_limits_range
        elif not light and before is not None:
            layer.metadata = {**layer.metadata, KEY: {**own, "limits": None}}
            layer.contrast_limits = before


def draw_preview(keeper: Keeper, micrograph: Micrograph, peaks: Columns) -> None:
    """Rings around the peaks that the present values would find."""

    def make() -> Points:
        style = {"face_color": "transparent", "border_color": PREVIEW_COLOUR, "border_width": OUTLINE}
        return _points(micrograph, "preview (not saved)", **style)

    def update(layer: Points) -> None:
        place(layer, at(peaks.xy))
        layer.face_color, layer.border_color = "transparent", PREVIEW_COLOUR
        layer.size = RING * spacing_px(peaks)
        layer.visible = True

    keeper.put("preview", make, update)


def column_features(analysis: Analysis) -> dict[str, Any]:
    """What a table beside the columns says of each."""
    columns = analysis.columns
    assert columns is not None
    site = np.array([*columns.sites, ""])[columns.site]
    size = analysis.micrograph.pixel_size
    std = columns.xy_std * (1 if size is None else size.xy_pm)
    unit = "px" if size is None else "pm"
    return {
        "column": np.arange(len(columns)),
        "site": site,
        "h": columns.hk[:, 0],
        "k": columns.hk[:, 1],
        f"x_std_{unit}": std[:, 0],
        f"y_std_{unit}": std[:, 1],
        "amplitude": columns.amplitude,
        "residual": columns.residual,
        "flags": each_named(columns.flags),
    }


def _rgba(*colours: str) -> NDArray[np.float32]:
    """(n, 4) colours by number, which napari need not look up point by point."""
    return np.array([to_rgba(colour) for colour in colours], dtype=np.float32)


def site_colours(columns: Columns) -> NDArray[np.float32]:
    """(N, 4) colour of each column: its site's, grey where it has none, red where it was taken out."""
    count = len(columns.sites)
    palette = _rgba(*(SITE_COLOURS[i % len(SITE_COLOURS)] for i in range(count)), EXCLUDED_COLOUR, UNKNOWN_COLOUR)
    out = (columns.flags & int(Flag.EXCLUDED)) > 0
    return np.asarray(palette[np.where(out, count, columns.site)])


def draw_columns(keeper: Keeper, analysis: Analysis) -> None:
    """All columns, coloured by site; those without a position of their own as squares, those taken out as crosses."""
    columns = analysis.columns
    if columns is None:
        return keeper.hide("columns")

    def make() -> Points:
        return _points(analysis.micrograph, "columns", border_width=OUTLINE)

    def update(layer: Points) -> None:
        layer.selected_data = set()
        place(layer, at(columns.xy))
        layer.features = column_features(analysis)
        out = (columns.flags & int(Flag.EXCLUDED)) > 0
        symbol = np.where(out, "cross", np.where(columns.usable, "disc", "square"))
        colours, size = site_colours(columns), np.full(len(columns), COLUMN * spacing_px(columns))
        give(layer, symbol=symbol, border_color=colours, face_color=colours, size=size)

    keeper.put("columns", make, update)
    return None


def draw_lattice(keeper: Keeper, analysis: Analysis) -> None:
    """One unit cell near the middle of the image, and its vectors a and b."""
    lattice = analysis.lattice
    if lattice is None:
        return keeper.hide("lattice")
    ny, nx = analysis.micrograph.shape
    hk = np.round(lattice.fractional(np.array([[nx / 2, ny / 2]])))[0]
    corner = lattice.origin + hk @ lattice.cell
    cell = np.array([corner, corner + lattice.a, corner + lattice.a + lattice.b, corner + lattice.b])
    vectors = [at(np.array([corner, corner + v])) for v in (lattice.a, lattice.b)]
    width = 0.04 * float(np.linalg.norm(lattice.a))

    def make() -> Shapes:
        return Shapes(name="unit cell", ndim=2, **grid_of(analysis.micrograph))

    def update(layer: Shapes) -> None:
        layer.data = []
        layer.add([at(cell)], shape_type="polygon", edge_color="white", face_color="transparent", edge_width=width)
        layer.add(vectors, shape_type="line", edge_color=["#FF5A5F", "#3DDC97"], edge_width=2 * width)
        layer.features = {"name": ["", "a", "b"]}
        layer.text = {"string": "{name}", "size": 14, "color": "white", "translation": [0, 0]}
        layer.editable = False

    keeper.put("lattice", make, update)
    return None


def poor_layers(analysis: Analysis) -> tuple[int, ...]:
    """Layers that are poor in oxygen."""
    profile = analysis.profile
    return () if profile is None else tuple(profile.layer[profile.vacancy_rich == 1].tolist())


def draw_cells(keeper: Keeper, analysis: Analysis) -> None:
    """The cells of each layer tinted, every second alike; layers poor in oxygen pink."""
    cells, found = analysis.cells, analysis.interface
    if cells is None or found is None or analysis.displacement is None:
        return keeper.hide("layer bands")
    seen = cells.complete & (found.layer >= 0)
    for side in analysis.sides[1:]:
        seen |= cells.complete & (side.interface.layer >= 0)
    layer_of = found.layer.copy()
    poor = np.isin(layer_of, poor_layers(analysis)) & (layer_of >= 0)
    colours = _rgba(EVEN_COLOUR, ODD_COLOUR, VACANCY_COLOUR)[np.where(poor, 2, layer_of % 2)]
    spacing = cell_spacing_px(analysis.displacement)

    def make() -> Points:
        style = {"symbol": "square", "border_width": 0, "opacity": 0.3, "visible": False}
        return _points(analysis.micrograph, "layers of cells", **style)

    def update(layer: Points) -> None:
        place(layer, at(cells.xy[seen]))
        layer.features = {"cell": np.flatnonzero(seen), "layer": layer_of[seen]}
        give(layer, face_color=colours[seen], size=np.full(int(seen.sum()), 0.95 * spacing), editable=False)

    keeper.put("layer bands", make, update)
    return None


def draw_marks(keeper: Keeper, analysis: Analysis, chosen: Mask) -> None:
    """Rings around chosen cells (M,)."""
    cells = analysis.cells
    if cells is None or analysis.displacement is None or not chosen.any():
        return keeper.hide("marks")
    spacing = cell_spacing_px(analysis.displacement)

    def make() -> Points:
        style = {"face_color": "transparent", "border_color": MARK_COLOUR, "border_width": 0.06}
        return _points(analysis.micrograph, "chosen cells", **style)

    def update(layer: Points) -> None:
        place(layer, at(cells.xy[chosen & cells.complete]))
        layer.face_color, layer.border_color = "transparent", MARK_COLOUR
        layer.size = 0.9 * spacing
        layer.editable = False
        layer.visible = True

    keeper.put("marks", make, update)
    return None
