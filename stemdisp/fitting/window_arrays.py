"""The fit of single columns by arrays, many windows at once: what the compiled kernel is tested against.

The same parameters in the same order, the same steps and the same end as kernel/window.h, in float64; exponentials are
taken pixel by pixel instead of from their neighbours.  Runs on NumPy and on CuPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..backend import Device
from ..pulse import beat
from .cutouts import HEIGHT, LEVEL, RESULTS, SLOPE_X, SLOPE_Y, A, B, C, Windows, X, Y, cut

if TYPE_CHECKING:
    from .window import ColumnModel, Search, Starts

BATCH_BYTES = 2**26
"""Windows are fitted in batches whose arrays take about so much memory."""

SLACK, PIVOT, TINY, WIDTH, ROUND, STIFFEST = 1e-13, 1e-12, 1e-6, 9.0, 0.22145328719723184, 1e15
FIRST_DAMPING, LEAST_DAMPING, RAISED_DAMPING, BACK, TURN, FLOOR = 1e-3, 1e-7, 1e-2, 0.25, 0.5, 1e-3
"""As ``Limits`` in kernel/window.h, where they are explained."""

MONOMIALS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass
class _State:
    """Where a search stands: n rows each."""

    best: Any
    step: Any
    objective: Any
    squares: Any
    bends: Any
    hold: Any
    damping: Any
    active: Any
    moved: Any
    closing: Any
    bounded: Any
    evaluations: Any


@dataclass(frozen=True)
class _System:
    """Normal equations (n, N, N) and right-hand side (n, N), and for counts the objective and weighted squares."""

    matrix: Any
    right: Any
    deviance: Any
    squares: Any


class _Fit:
    """One batch of windows."""

    def __init__(self, windows: Windows, model: ColumnModel, search: Search, xp: Any) -> None:
        self.windows, self.model, self.search, self.xp = windows, model, search, xp
        self.poisson = model.likelihood == "poisson"
        self.linear = 4 if model.plane else 2
        self.size = model.parameters
        self.wide = model.ratio**-2
        self.least = xp.maximum(windows.mean * FLOOR, 1e-6)

    def system(self, windows: Windows, place: Any, hold: Any, least: Any, *, plain: bool) -> _System:
        """Sums over all pixels at a place (n, 9)."""
        xp, model = self.xp, self.model
        dx = windows.line[None, None, :] - place[:, X, None, None]
        dy = windows.line[None, :, None] - place[:, Y, None, None]
        a, b, c = (place[:, k, None, None] for k in (A, B, C))
        exponent = a * dx * dx + 2 * b * dx * dy + c * dy * dy
        core = xp.exp(-exponent)
        profile = slope = core
        if model.tail:
            wide = xp.exp(-self.wide * exponent)
            profile = (1 - model.tail) * core + model.tail * wide
            slope = (1 - model.tail) * core + model.tail * self.wide * wide
        weight, data = windows.weight, windows.data
        deviance = squares = xp.zeros(len(place))
        if self.poisson:
            expected = place[:, LEVEL, None, None] + place[:, HEIGHT, None, None] * profile
            expected = expected + place[:, SLOPE_X, None, None] * dx + place[:, SLOPE_Y, None, None] * dy
            expected = xp.maximum(expected, least[:, None, None])
            log = xp.log(xp.where(data > 0, data / expected, 1 / expected))
            deviance = ((weight > 0) * (expected - data + data * log)).sum(axis=(1, 2))
            weight = (weight > 0) * (1.0 if plain else 1 / expected)
            data = data if plain else data - expected
            squares = (weight * data**2).sum(axis=(1, 2))
        ones = xp.ones_like(profile)
        basis = [ones, ones * dx, ones * dy] if model.plane else [ones]
        basis += [profile, *(slope * dx**i * dy**j for i, j in MONOMIALS[: 2 if model.shape == "shared" else 5])]
        flat = xp.stack([one.reshape(len(place), -1) for one in basis], axis=1)
        weighted = flat * weight.reshape(len(place), 1, -1)
        matrix = weighted @ flat.transpose(0, 2, 1)
        right = (weighted @ data.reshape(len(place), -1, 1))[:, :, 0]
        if model.shape == "circular":
            matrix, right = self._stretched(matrix, right, windows.start)
        if model.plane:
            matrix[:, 1, 1] += hold
            matrix[:, 2, 2] += hold
        return _System(matrix, right, deviance, squares)

    def _stretched(self, matrix: Any, right: Any, start: Any) -> tuple[Any, Any]:
        """The three monomials of second degree made one: the direction that a, b and c started in."""
        xp, n = self.xp, self.size
        change = xp.zeros((len(start), matrix.shape[1], n))
        for k in range(n - 1):
            change[:, k, k] = 1
        change[:, n - 1 :, n - 1] = start[:, [A, B, C]] * xp.asarray([1.0, 2.0, 1.0])
        return change.transpose(0, 2, 1) @ matrix @ change, (change.transpose(0, 2, 1) @ right[:, :, None])[:, :, 0]

    def factor(self, system: _System, damping: Any) -> tuple[Any, Any, Any]:
        """L (n, N, N) and D (n, N) of the damped matrix, and where no pivot is lost in rounding."""
        xp, n = self.xp, self.size
        lower, pivots = system.matrix.copy(), xp.zeros((len(system.matrix), n))
        good = xp.ones(len(lower), dtype=bool)
        for row in range(n):
            for k in range(row):
                lower[:, row, k] -= (lower[:, row, :k] * lower[:, k, :k]).sum(axis=1)
            diagonal = lower[:, row, row]
            lowest = xp.maximum(PIVOT * diagonal, 1e-30)
            if row >= self.linear:
                diagonal = diagonal * (1 + damping)
            scaled = lower[:, row, :row] / pivots[:, :row]
            diagonal = diagonal - (lower[:, row, :row] * scaled).sum(axis=1)
            lower[:, row, :row] = scaled
            good &= diagonal > lowest
            pivots[:, row] = xp.maximum(diagonal, lowest)
        return lower, pivots, good

    def forward(self, lower: Any, right: Any) -> Any:
        """The right-hand side (n, N) through L."""
        values = right.copy()
        for row in range(self.size):
            values[:, row] -= (lower[:, row, :row] * values[:, :row]).sum(axis=1)
        return values

    def backward(self, lower: Any, pivots: Any, right: Any, to: int) -> Any:
        """The first ``to`` parameters, those behind them left out."""
        values = right / pivots
        values[:, to:] = 0
        for row in range(to - 1, -1, -1):
            values[:, row] -= (lower[:, row + 1 : to, row] * values[:, row + 1 : to]).sum(axis=1)
        return values

    def step_of(self, windows: Windows, values: Any, place: Any) -> Any:
        """The step (n, 9) that values of the monomial basis mean at a place."""
        xp, x = self.xp, self.linear
        least = TINY * (windows.scale if self.poisson else 1.0)
        height = place[:, HEIGHT]
        height = xp.where(xp.abs(height) < least, xp.where(height < 0, -least, least), height)
        px, py = values[:, x] / (2 * height), values[:, x + 1] / (2 * height)
        a, b, c = place[:, A], place[:, B], place[:, C]
        step = xp.zeros_like(place)
        step[:, X] = (c * px - b * py) / (a * c - b * b)
        step[:, Y] = (a * py - b * px) / (a * c - b * b)
        if self.model.shape == "circular":
            step[:, [A, B, C]] = -(values[:, x + 2] / height)[:, None] * windows.start[:, [A, B, C]]
        if self.model.shape == "elliptical":
            step[:, [A, B, C]] = -values[:, x + 2 : x + 5] / (height[:, None] * xp.asarray([1.0, 2.0, 1.0]))
        step[:, HEIGHT], step[:, LEVEL] = values[:, x - 1], values[:, 0]
        if self.model.plane:
            step[:, [SLOPE_X, SLOPE_Y]] = values[:, 1:3]
        return step

    def moved(self, windows: Windows, best: Any, step: Any) -> tuple[Any, Any, Any]:
        """The place after a step, whether it moved at all, and whether it was held back."""
        xp, tolerance, limit = self.xp, self.search.tolerance, windows.limit
        place = best.copy()
        length = xp.maximum(xp.hypot(step[:, X], step[:, Y]), 1e-15)
        away = best[:, :2] + step[:, :2] * xp.minimum(1, limit / 2 / length)[:, None] - windows.start[:, :2]
        far = xp.maximum(xp.hypot(away[:, 0], away[:, 1]), 1e-15)
        held = far > limit
        place[:, :2] = windows.start[:, :2] + away * xp.minimum(1, limit / far)[:, None]
        moved = xp.abs(place[:, :2] - best[:, :2]).max(axis=1) > tolerance
        if self.model.shape != "shared":
            change = step[:, [A, B, C]]
            trace, trace0 = best[:, A] + best[:, C], windows.start[:, A] + windows.start[:, C]
            most = xp.abs(change).max(axis=1)
            grow = xp.minimum(1, TURN * trace / 2 / xp.maximum(most, 1e-30))
            for tries in range(3):
                good = _allowed(best[:, [A, B, C]] + grow[:, None] * change, trace0)
                grow = xp.where(good, grow, grow / 2 if tries < 2 else 0)
            held = held | (grow <= 0)
            place[:, [A, B, C]] = best[:, [A, B, C]] + grow[:, None] * change
            moved = moved | ((grow * most) ** 2 > tolerance**2 * trace**3)
        if self.poisson:
            for k in (HEIGHT, SLOPE_X, SLOPE_Y):
                place[:, k] = best[:, k] + step[:, k]
            shift = place[:, :2] - best[:, :2]
            place[:, LEVEL] = best[:, LEVEL] + step[:, LEVEL] + (place[:, SLOPE_X:] * shift).sum(axis=1)
        return place, moved, held

    def solved(self, system: _System) -> tuple[Any, Any, Any, Any]:
        """With the nonlinear parameters as they are: the linear ones (n, N), penalised and plain squares, slopes^2."""
        lower, pivots, _ = self.factor(system, 0.0)
        half = self.forward(lower, system.right)
        values = self.backward(lower, pivots, half, self.linear)
        explained = (half[:, : self.linear] ** 2 / pivots[:, : self.linear]).sum(axis=1)
        bends = (values[:, 1:3] ** 2).sum(axis=1) if self.model.plane else 0 * explained
        return values, explained, bends, pivots

    def decide(self, rows: Any, state: _State, place: Any, system: _System) -> Any:
        """Takes or refuses the places of the active rows; gives back where they look next."""
        xp, windows = self.xp, self.windows.of(rows)
        values, explained, bends, pivots = self.solved(system)
        hold = state.hold[rows]
        objective, squares, before = system.deviance, system.squares, state.objective[rows]
        if not self.poisson:
            place[:, HEIGHT] = values[:, self.linear - 1]
            objective = windows.total - explained
            squares = objective - hold * bends
            before = state.squares[rows] + hold * state.bends[rows]
        took = objective <= before + SLACK * windows.total
        best = xp.where(took[:, None], place, state.best[rows])
        for name, value in (("objective", objective), ("squares", squares), ("bends", bends)):
            getattr(state, name)[rows] = xp.where(took, value, getattr(state, name)[rows])
        damping = state.damping[rows]
        damping = xp.where(took, xp.maximum(0.1 * damping, LEAST_DAMPING), 10 * xp.maximum(damping, RAISED_DAMPING))
        settled = xp.ones(len(place), dtype=bool)
        if self.model.plane and not self.poisson:
            noise = xp.maximum(squares, SLACK * windows.total) / xp.maximum(windows.count - self.size, 1)
            # Slopes are in units of the window's scale.
            new = xp.minimum(self.search.ridge * noise * windows.scale**2, STIFFEST)
            settled = xp.abs(new - hold) <= self.search.tolerance * (new + pivots[:, 1])
            state.hold[rows] = xp.where(took, new, hold)
        lower, pivots, _ = self.factor(system, damping)
        values = self.backward(lower, pivots, self.forward(lower, system.right), self.size)
        step = xp.where(took[:, None], self.step_of(windows, values, place), BACK * state.step[rows])
        following, moved, held = self.moved(windows, best, step)
        done = took & ((~moved & settled) | state.closing[rows])
        closing = state.closing[rows] | (~took & ~moved)
        state.best[rows], state.step[rows], state.damping[rows] = best, step, damping
        state.bounded[rows], state.closing[rows] = held, closing
        state.active[rows] = state.moved[rows] = ~done
        return xp.where((~done & ~closing)[:, None], following, best)

    def run(self) -> tuple[Any, Any]:
        """Results (n, RESULTS) and reports (n, 3)."""
        xp, windows = self.xp, self.windows
        n = len(windows.count)
        zero, no = xp.zeros(n), xp.zeros(n, dtype=bool)
        usable = (windows.count > self.size) & (windows.scale > 0)
        large = zero + 1e30
        state = _State(
            best=windows.start.copy(),
            step=windows.start.copy(),
            objective=large,
            squares=large.copy(),
            bends=zero.copy(),
            hold=zero.copy(),
            damping=zero + FIRST_DAMPING,
            active=usable.copy(),
            moved=usable.copy(),
            closing=no,
            bounded=no.copy(),
            evaluations=zero.copy(),
        )
        place = state.best.copy()
        for turn in range(max(self.search.evaluations, 1 + self.poisson)):
            rows = xp.flatnonzero(state.active)
            if not len(rows):
                break
            state.evaluations[rows] += 1
            plain = self.poisson and turn == 0
            system = self.system(windows.of(rows), place[rows], state.hold[rows], self.least[rows], plain=plain)
            if plain:
                values, *_ = self.solved(system)
                state.best[rows] = place[rows] = self._first(rows, place[rows], values)
            else:
                place[rows] = self.decide(rows, state, place[rows].copy(), system)
        state.evaluations[state.active] += 1
        return self.report(state)

    def _first(self, rows: Any, place: Any, values: Any) -> Any:
        place = place.copy()
        place[:, HEIGHT] = values[:, self.linear - 1]
        place[:, LEVEL] = self.xp.maximum(values[:, 0], self.least[rows])
        if self.model.plane:
            place[:, [SLOPE_X, SLOPE_Y]] = values[:, 1:3]
        return place

    def report(self, state: _State) -> tuple[Any, Any]:
        """What is known of the columns at their places: the last step, covariance, status."""
        xp, windows, poisson = self.xp, self.windows, self.poisson
        place = state.best.copy()
        system = self.system(windows, place, state.hold, self.least, plain=False)
        values, explained, bends, _ = self.solved(system)
        squares = system.squares if poisson else windows.total - explained - state.hold * bends
        if not poisson:
            place[:, HEIGHT], place[:, LEVEL] = values[:, self.linear - 1], values[:, 0]
            place[:, [SLOPE_X, SLOPE_Y]] = values[:, 1:3] if self.model.plane else 0.0
        chi2 = xp.maximum(squares, 0) / xp.maximum(windows.count - self.size, 1)
        lower, pivots, whole = self.factor(system, 0.0)
        values = self.backward(lower, pivots, self.forward(lower, system.right), self.size)
        step = self.step_of(windows, values, place)
        following, moved, _ = self.moved(windows, place, step)
        if not poisson:
            following[:, HEIGHT:] = step[:, HEIGHT:]
            following[:, LEVEL] += (step[:, SLOPE_X:] * (following[:, :2] - place[:, :2])).sum(axis=1)
        converged = ~state.active & ~state.moved
        final = xp.where((converged & ~moved)[:, None], following, place)
        covariance = self._covariance(lower, pivots, place, final[:, HEIGHT], xp.ones_like(chi2) if poisson else chi2)
        return _tabulate(self, state, final, chi2, covariance, whole, converged)

    def _covariance(self, lower: Any, pivots: Any, place: Any, height: Any, unit: Any) -> Any:
        """(n, 9, 9) of height, x, y, level, slopes, a, b and c."""
        xp, n = self.xp, self.size
        inverse = xp.zeros_like(lower)
        for k in range(n):
            inverse[:, k, k] = 1
            for row in range(k + 1, n):
                inverse[:, row, k] = -(lower[:, row, k:row] * inverse[:, k:row, k]).sum(axis=1)
        full = (inverse.transpose(0, 2, 1) / pivots[:, None, :]) @ inverse * unit[:, None, None]
        change = xp.zeros((len(lower), 9, n))
        change[:, 0, self.linear - 1] = change[:, 3, 0] = 1
        half = 0.5 / (height * (place[:, A] * place[:, C] - place[:, B] ** 2))
        change[:, 1, self.linear], change[:, 2, self.linear + 1] = place[:, C] * half, place[:, A] * half
        change[:, 1, self.linear + 1] = change[:, 2, self.linear] = -place[:, B] * half
        if self.model.plane:
            change[:, 4, 1] = change[:, 5, 2] = 1
        first = self.linear + 2
        if self.model.shape == "circular":
            change[:, 6:, first] = self.windows.start[:, [A, B, C]] / height[:, None]
        if self.model.shape == "elliptical":
            change[:, 6, first] = change[:, 8, first + 2] = 1 / height
            change[:, 7, first + 1] = 0.5 / height
        return change @ full @ change.transpose(0, 2, 1)


def _allowed(shape: Any, trace0: Any) -> Any:
    """Whether a, b and c (n, 3) are a shape that a column may have."""
    trace = shape[:, 0] + shape[:, 2]
    size = (trace0 <= trace * WIDTH) & (trace <= trace0 * WIDTH)
    return size & (ROUND * (trace / 2) ** 2 <= shape[:, 0] * shape[:, 2] - shape[:, 1] ** 2)


def _tabulate(
    fit: _Fit, state: _State, final: Any, chi2: Any, covariance: Any, whole: Any, converged: Any
) -> tuple[Any, Any]:
    xp, windows, poisson = fit.xp, fit.windows, fit.poisson
    scale = xp.ones_like(chi2) if poisson else windows.scale
    far = xp.hypot(*(final[:, :2] - windows.start[:, :2]).T)
    limited = (state.bounded & converged) | (far >= 0.999 * windows.limit)
    enough = windows.count > fit.size
    sound = whole & (windows.scale > 0) & xp.isfinite(xp.einsum("nii->n", covariance[:, :3, :3]) + final[:, :2].sum(1))
    status = xp.where(converged, xp.where(limited, 1, 0), 4)
    status = xp.where(enough, xp.where(sound, status, 3), 2)
    one = xp.ones_like(scale)
    unit = xp.stack([scale, one, one, scale, scale, scale, one, one, one], axis=1)
    covariance = covariance * unit[:, :, None] * unit[:, None, :]
    level = final[:, LEVEL] * scale + (0 if poisson else windows.mean)
    results = xp.concatenate(
        [
            (final[:, HEIGHT] * scale)[:, None],
            final[:, :5],
            level[:, None],
            final[:, SLOPE_X:] * scale[:, None],
            (chi2 * scale**2)[:, None],
            xp.stack([covariance[:, i, j] for i, j in PAIRS], axis=1),
            xp.stack([covariance[:, i, i] for i in (3, 4, 5)], axis=1),
            xp.stack([covariance[:, 6 + i, 6 + j] for i, j in PAIRS], axis=1),
        ],
        axis=1,
    )
    failed = status[:, None] // 2 == 1
    kept = xp.full_like(results, xp.nan)
    kept[:, 1:6] = windows.start[:, :5]
    return xp.where(failed, kept, results), xp.stack([status, state.evaluations, windows.count], axis=1)


def fit(
    image: NDArray[Any], weight: NDArray[Any] | None, starts: Starts, model: ColumnModel, search: Search, device: Device
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Results (n, RESULTS) and reports (n, 3), as the kernel's."""
    n, xp = len(starts.xy), device.xp
    results, reports = np.empty((n, RESULTS)), np.empty((n, 3), dtype=np.int32)
    pixels, weights = device.up(image), None if weight is None else device.up(weight)
    batch = max(1, BATCH_BYTES // (8 * 30 * search.size**2))
    for low in range(0, n, batch):
        beat()
        rows = slice(low, min(low + batch, n))
        windows, middle = cut(pixels, weights, starts, rows, model, search, device.xp)
        with np.errstate(all="ignore"):
            found, said = _Fit(windows, model, search, xp).run()
        found[:, 1:3] += middle
        results[rows], reports[rows] = device.down(found), device.down(said)
    return results, reports
