"""Find the line across which a crystal becomes another that goes on in the same lattice.

Three things are looked at in every cell: how bright its reference columns are, how bright the moving one is against
them, and how much room the lattice gives it. Where they jump, and no smooth trend (thickness, defocus) explains it, one
crystal ends and another begins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from ..errors import StageError
from ..fitting.curve import dividing_curve
from ..fitting.grid import Grid, scatter
from ..fitting.planes import jumps_between_planes
from ..fitting.step import Step, find_step
from ..flags import usable
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.interface import Edge
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_JUMP = {"intensity": 0.05, "intensity ratio": 0.1, "area of the cell": 0.006}
"""Relative jump of each that is more than an image does by itself."""

PLAIN_JUMP = {"intensity": 0.2, "intensity ratio": 0.3}
"""Jumps of the logarithms between three planes and the next three that are another crystal without further proof."""

PLANES = np.array([(1, 0), (0, 1), (1, 1), (1, -1)])
"""Planes of the lattice that layers of a superlattice follow."""

ABOVE_SCATTER = 0.35
"""Jump over the scatter from cell to cell: less is seen in no image."""

CERTAIN = 80.0
"""Gain of chi2 below which a jump may be chance: 48 directions and 60 places are tried on three quantities."""

WORTH_A_BEND = 25.0
"""Gain of chi2 for each term by which the line may bend."""

CLEAR = 6.0
"""Jump over the scatter from cell to cell for which every cell tells which side it is on."""

SHARPEST, WIDEST = 0.5, 2.5
"""Width of a jump in layers (tanh): neighbours' means blur it by about one, a gradient has more."""

HELD_BESIDE = 0.6
"""Part of the jump that is there already within six layers of the line: else it is a trend."""

BESIDE = 6.0
FEWEST_CELLS = 60
"""Cells below which no boundary is looked for."""

POINTS = 33


def boundary(columns: Columns, cells: UnitCells, lattice: Lattice, pixel_size: PixelSize) -> Edge | None:
    """The line or smooth curve between two crystals that share a lattice.

    Returns
    -------
    Edge | None
        Its normal points away from the larger part; None where nothing jumps.

    Raises
    ------
    StageError
        Brightness jumps at several parallel lines, as in a superlattice: layers are counted from one.
    """
    values, names = _quantities(columns, cells, pixel_size)
    known = np.isfinite(values).all(axis=1) & cells.complete
    if known.sum() < FEWEST_CELLS or not names:
        return None
    _one_only(values[known], names, cells.hk[known], lattice, pixel_size)
    xy, values = cells.xy[known] * pixel_size.xy_pm, values[known]
    noise = scatter(values, cells.hk[known])
    if not (noise > 0).all():
        return None
    layer = 0.5 * float(np.linalg.norm(lattice.cell * pixel_size.xy_pm, axis=1).mean())
    step = find_step(xy, values / noise, width=SHARPEST * layer, worth=WORTH_A_BEND)
    jump = step.jump * noise
    real = (np.abs(jump) > [LEAST_JUMP[name] for name in names]) & (np.abs(step.jump) > ABOVE_SCATTER)
    if step.gain < CERTAIN or step.width > WIDEST * layer or not real.any():
        return None
    real &= _beside(step, xy, values, BESIDE * layer) > HELD_BESIDE * np.abs(jump)
    if not real.any():
        return None
    clearest = int(np.where(real, np.abs(step.jump), 0).argmax())
    line = _line(step, columns.xy * pixel_size.xy_pm)
    if abs(step.jump[clearest]) > CLEAR and names[clearest] != "area of the cell":
        if names[clearest] == "intensity":
            # Every column for itself, where a cell has the mean of some.
            own = columns.of_site(cells.reference_site) & usable(columns.flags) & (np.abs(columns.amplitude) > 0)
            places, seen = columns.xy[own] * pixel_size.xy_pm, np.log(np.abs(columns.amplitude[own]))
        else:
            places, seen = xy, values[:, clearest]
        line = line.divided(places, seen, BESIDE * layer, SHARPEST * layer)
    return line.edge(xy, pixel_size, step.place_std, {name: jump[i] for i, name in enumerate(names) if real[i]})


def _quantities(columns: Columns, cells: UnitCells, pixel_size: PixelSize) -> tuple[Floats, list[str]]:
    """(M, F) logarithms of what is looked at, and its names."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.abs(columns.amplitude)
        around = cells.gather(size).mean(axis=1)
        found = {
            "intensity": np.log(around),
            "intensity ratio": np.log(size[cells.moving] / around),
            "area of the cell": np.log(_area(cells.xy * pixel_size.xy_pm, cells.hk)),
        }
    shown = {name: value for name, value in found.items() if np.isfinite(value).sum() >= FEWEST_CELLS}
    return np.stack(list(shown.values()), axis=1) if shown else np.zeros((len(cells), 0)), list(shown)


def _one_only(values: Floats, names: list[str], hk: Ints, lattice: Lattice, pixel_size: PixelSize) -> None:
    """Raises StageError where brightness or the ratio of sites jumps between planes at more than one place."""
    told = [names.index(name) for name in PLAIN_JUMP if name in names]
    if not told:  # positions without any brightness
        return
    least = np.array([PLAIN_JUMP[names[i]] for i in told])
    reciprocal = np.linalg.inv(lattice.cell * pixel_size.xy_pm)
    most: tuple[Floats, float] = (np.zeros(0), 0.0)
    for rows in PLANES:
        places = jumps_between_planes(hk @ rows, values[:, told], least)
        if len(places) > len(most[0]):
            most = places, float(1 / np.linalg.norm(reciprocal @ rows))
    if len(most[0]) < 2:
        return
    apart = sorted(np.diff(most[0]) * most[1] / 1000)
    far = f"{apart[0]:.1f}" if apart[-1] - apart[0] < 0.05 else f"{apart[0]:.1f} to {apart[-1]:.1f}"
    material = lattice.motif.material.name
    raise StageError(
        f"{len(most[0])} boundaries between crystals that share the lattice are seen, {far} nm apart, and nothing says "
        f"which one to count from; draw it. What is said of polarization is that of {material} in all of them"
    )


def _area(xy: Floats, hk: Ints) -> Floats:
    """(M,) area between the cells on both sides along both cell vectors; NaN at the rim."""
    grid, vectors = Grid.of(hk), []
    for step in ((1, 0), (0, 1)):
        ahead, behind = (grid.at(hk + sign * np.array(step)) for sign in (1, -1))
        vector = 0.5 * (xy[ahead] - xy[behind])
        vector[(ahead < 0) | (behind < 0)] = np.nan
        vectors.append(vector)
    return np.abs(vectors[0][:, 0] * vectors[1][:, 1] - vectors[0][:, 1] * vectors[1][:, 0])


def _beside(step: Step, xy: Floats, values: Floats, reach: float) -> Floats:
    """(F,) jump between the medians of the values near the line on its two sides."""
    height = step.height(xy)
    low, high = values[(height < 0) & (height > -reach)], values[(height > 0) & (height < reach)]
    if not (len(low) and len(high)):
        return np.zeros(values.shape[1])
    return np.asarray(np.abs(np.median(high, axis=0) - np.median(low, axis=0)))


@dataclass(frozen=True)
class _Line:
    """A polynomial over a line through ``middle`` along ``axes[0]``, rising along ``axes[1]``."""

    middle: Floats
    axes: Floats
    shape: Polynomial

    def height(self, xy: Floats) -> Floats:
        """(n,) distance of places (n, 2) above the line along its normal."""
        along, across = ((xy - self.middle) @ self.axes.T).T
        return np.asarray(across - self.shape(along))

    def divided(self, xy: Floats, values: Floats, reach: float, width: float) -> _Line:
        """The line that divides near places by whether their values are more like those above or below it."""
        height = self.height(xy)
        near = np.abs(height) < reach
        if not ((height[near] < 0).any() and (height[near] > 0).any()):
            return self
        low, high = (np.median(values[near & side]) for side in (height < 0, height > 0))
        places = (xy[near] - self.middle) @ self.axes.T
        upper = np.abs(values[near] - high) < np.abs(values[near] - low)
        if not (upper.any() and (~upper).any()):
            return self
        return replace(self, shape=dividing_curve(self.shape, places[~upper], places[upper], width))

    def edge(self, xy: Floats, pixel_size: PixelSize, std: float, jump: dict[str, float]) -> Edge:
        """As an edge whose normal points away from the larger part."""
        along = np.linspace(self.shape.domain[0], self.shape.domain[1], POINTS if self.shape.degree() > 1 else 2)
        points = self.middle + np.stack([along, self.shape(along)], axis=1) @ self.axes
        sign = 1.0 if (self.height(xy) < 0).mean() >= 0.5 else -1.0
        told = [
            f"{name} {'rises' if sign * change > 0 else 'falls'} by {100 * abs(np.expm1(sign * change)):.2g} %"
            for name, change in jump.items()
        ]
        sentence = f"the {' and the '.join(told)} beyond it"
        return Edge(points / pixel_size.xy_pm, sign * self.axes[1], "boundary", std / 1000, sentence)


def _line(step: Step, xy: Floats) -> _Line:
    """The line of a step, from end to end of the places (n, 2)."""
    along = np.array([step.normal[1], -step.normal[0]])
    ends = (xy - step.middle) @ along
    bounds = [float(ends.min()), float(ends.max())]
    coefficients = [step.place, 0.0, *(bend / step.reach ** (n + 2) for n, bend in enumerate(step.bend))]
    shape = Polynomial(coefficients).convert(domain=bounds, window=[-1.0, 1.0])
    return _Line(step.middle, np.stack([along, step.normal]), shape)
