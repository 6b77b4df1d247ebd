"""Make the recipe's entry of a change by hand from where a user clicked."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .errors import RecipeError
from .fitting.peaks import finite
from .model.analysis import Analysis
from .model.places import Places
from .recipe import EditEntry

Floats = NDArray[np.float64]
Action = Literal["move", "delete", "add", "reassign"]

SMOOTHING = 0.15
"""Standard deviation of the smoothing before maxima are looked for, in shortest distances between columns."""


def entry_for(
    analysis: Analysis,
    action: Action,
    *,
    xy: tuple[float, float] | None = None,
    row: int | None = None,
    to: tuple[str, int, int] | None = None,
) -> EditEntry:
    """The entry of ``[[edits]]`` that a click on the image stands for.

    Parameters
    ----------
    analysis
        With columns and lattice.
    action
        "move" column ``row`` to ``xy``; "delete" column ``row``; "add" a column at the maximum of the image (minimum,
        where columns are dark) next to ``xy``, of the site and cell that the columns around it say; "reassign" column
        ``row`` to the site and cell whose place is nearest to ``xy``, or to those that ``to`` (site, h, k) names.
    xy
        (x, y) px as in the table of columns.
    row
        Row of that table.

    Raises
    ------
    RecipeError
        Something that the action needs is missing, the image was not read from a file (edits belong to one), or a
        column is listed where one should be added.
    """
    if analysis.columns is None or analysis.lattice is None:
        raise RecipeError("no columns are listed yet: analyse the image before its columns are changed")
    if not analysis.micrograph.inputs:
        raise RecipeError(f"{analysis.micrograph.name} was not read from a file: edits belong to the image in a file")
    values: dict[str, object] = {"sha256": analysis.micrograph.inputs[0].sha256, "action": action}
    if action in ("move", "add") and xy is None:
        raise RecipeError(f"{action}: give xy, the place in px")
    if action == "add":
        assert xy is not None
        return EditEntry.model_validate(values | _added(analysis, np.array(xy, dtype=float)))
    columns = analysis.columns
    if row is None or not 0 <= row < len(columns):
        raise RecipeError(f"{action}: row = {row}: give the row of a column, 0 to {len(columns) - 1}")
    values |= _named(columns.sites[columns.site[row]], columns.hk[row].tolist())
    if action == "move":
        assert xy is not None
        values |= {"x": float(xy[0]), "y": float(xy[1])}
    if action == "reassign":
        if to is None and xy is None:
            raise RecipeError("reassign: give xy, a place in px, or to, the site and cell")
        if to is None:
            assert xy is not None
            site, hk = Places(columns, analysis.lattice).at(np.array(xy, dtype=float))
            to = columns.sites[site], *hk
        values |= {"to_site": to[0], "to_h": to[1], "to_k": to[2]}
    return EditEntry.model_validate(values)


def _named(site: str, hk: list[int]) -> dict[str, object]:
    return {"site": site, "h": hk[0], "k": hk[1]}


def _added(analysis: Analysis, xy: Floats) -> dict[str, object]:
    """Site, cell and place of a column that is missing next to ``xy`` (2,) px."""
    columns, lattice = analysis.columns, analysis.lattice
    assert columns is not None and lattice is not None
    places = Places(columns, lattice)
    site, _ = places.at(xy)
    name = analysis.oxygen_signal if lattice.motif.oxygen[site] else analysis.position_signal
    shift = np.array(analysis.signal_shift_px.get(name, (0.0, 0.0)))
    signal = analysis.micrograph.signals[name]
    place = _summit(signal.image, xy + shift, places.half_px, signal.contrast) - shift
    site, hk = places.at(place)
    if columns.rows_of(np.array([site]), np.array([hk]))[0] >= 0:
        raise RecipeError(
            f"add: {columns.sites[site]} {hk} is listed already at this place; move it, or click farther from it"
        )
    x, y = (round(float(value), 3) for value in place)
    return {**_named(columns.sites[site], list(hk)), "x": x, "y": y}


def _summit(image: NDArray[np.generic], xy: Floats, reach: float, contrast: int) -> Floats:
    """(2,) px of the highest maximum of an image (lowest minimum, with negative contrast) within ``reach`` px of a
    place; the place itself where there is none."""
    from scipy.ndimage import gaussian_filter, maximum_filter

    margin = 2 * reach + 2
    low = np.floor(xy - margin).astype(int).clip(0)
    high = np.ceil(xy + margin).astype(int) + 1
    part = image[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    if not part.size:
        raise RecipeError(f"add: ({xy[0]:g}, {xy[1]:g}) px is not on the image")
    relief = gaussian_filter(contrast * finite(part), 2 * SMOOTHING * reach)
    y, x = np.nonzero(relief == maximum_filter(relief, size=3))
    inner = (x > 0) & (y > 0) & (x < part.shape[1] - 1) & (y < part.shape[0] - 1)
    near = np.flatnonzero(inner & (np.hypot(x + low[0] - xy[0], y + low[1] - xy[1]) <= reach))
    if not len(near):
        return xy
    top = near[relief[y[near], x[near]].argmax()]
    return np.asarray(np.array([x[top], y[top]]) + low, dtype=np.float64)
