"""Atomic columns as a table of arrays; a row is an identity and is never dropped after ``assign``."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StageError
from ..fitting.grid import Grid
from ..flags import usable
from .fit import Fit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Columns:
    """Columns of one image; every array has N rows, NaN stands for "not measured".

    xy
        (N, 2) position (x, y) in px, x right, y down, pixel centres at whole numbers.
    site
        (N,) index into ``sites``, -1 = not assigned yet.
    hk
        (N, 2) unit cell (h, k) the column belongs to.
    island
        (N,) crystal grain the column belongs to, 0 = the largest, -1 = none.
    signal
        (N,) index into ``signals``: which image the position was measured in.
    cov
        (N, 2, 2) covariance of ``xy`` in px^2.
    xy_sys
        (N, 2) by how much a second fit, with another model, places the column elsewhere, in px: a systematic error that
        no counting of noise contains.
    amplitude, amplitude_std, background
        (N,) in the image's own unit; the amplitude of a dark column is negative.
    sigma
        (N, 2) standard deviations of the fitted profile's core along its axes in px (long axis first).
    angle_deg
        (N,) direction of the long axis as seen on the screen, [0, 180).
    residual
        (N,) root mean square misfit under the column divided by |amplitude|.
    moments, moments_cov
        (N, 3) second moments xx, xy, yy in px^2 of each column's core in a fit of its own, as an ellipse, and (N, 3, 3)
        their covariance.
    flags
        (N,) bits of :class:`stemdisp.flags.Flag`.

    ``fits`` says of each of the ``signals`` how it was fitted; empty before.
    """

    sites: tuple[str, ...]
    signals: tuple[str, ...]
    xy: Floats
    site: Ints
    hk: Ints
    island: Ints
    signal: Ints
    cov: Floats
    xy_sys: Floats
    amplitude: Floats
    amplitude_std: Floats
    background: Floats
    sigma: Floats
    angle_deg: Floats
    residual: Floats
    moments: Floats
    moments_cov: Floats
    flags: Ints
    fits: tuple[Fit, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.xy)
        for name, value in self.arrays().items():
            if len(value) != n:
                raise StageError(
                    f"columns: {name} has {len(value)} rows, xy has {n}; every array needs one row a column"
                )
            value.setflags(write=False)

    @classmethod
    def at(cls, xy: Floats, sites: tuple[str, ...] = (), signals: tuple[str, ...] = ("",), **given: Any) -> Columns:
        """Columns at ``xy`` (N, 2) with every other array empty (NaN, -1 or 0) unless given."""
        n = len(xy)
        empty: dict[str, Any] = {
            "site": np.full(n, -1),
            "hk": np.zeros((n, 2), dtype=np.int64),
            "island": np.full(n, -1),
            "signal": np.zeros(n, dtype=np.int64),
            "cov": np.full((n, 2, 2), np.nan),
            "xy_sys": np.full((n, 2), np.nan),
            "sigma": np.full((n, 2), np.nan),
            "moments": np.full((n, 3), np.nan),
            "moments_cov": np.full((n, 3, 3), np.nan),
            "flags": np.zeros(n, dtype=np.int64),
        }
        empty |= {k: np.full(n, np.nan) for k in ("amplitude", "amplitude_std", "background", "angle_deg", "residual")}
        return cls(sites=sites, signals=signals, xy=np.array(xy, dtype=float).reshape(n, 2), **(empty | given))

    def __len__(self) -> int:
        return len(self.xy)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Field name -> array, in the order of the fields."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("sites", "signals", "fits")}

    def replace(self, **changes: Any) -> Columns:
        """A copy with some arrays exchanged."""
        return replace(self, **changes)

    def take(self, rows: NDArray[Any]) -> Columns:
        """The rows chosen by a mask or by indices (before ``assign`` only, or to look at a part)."""
        return replace(self, **{name: value[rows].copy() for name, value in self.arrays().items()})

    def of_site(self, name: str) -> NDArray[np.bool_]:
        """(N,) mask of the columns of one site; raises StageError for a site the structure does not have."""
        if name not in self.sites:
            raise StageError(f"no site named {name}; the structure has {', '.join(self.sites)}")
        return np.asarray(self.site == self.sites.index(name))

    def rows_of(self, site: Ints, hk: Ints) -> Ints:
        """(M,) row of each site (M,) and cell (M, 2), -1 where none is listed."""
        rows = np.full(len(site), -1, dtype=np.int64)
        for one in np.unique(site):
            own, asked = np.flatnonzero(self.site == one), site == one
            rows[asked] = Grid.of(self.hk[own], own).at(hk[asked])
        return rows

    @property
    def xy_std(self) -> Floats:
        """(N, 2) standard deviation of the position in px."""
        return np.sqrt(np.stack([self.cov[:, 0, 0], self.cov[:, 1, 1]], axis=1))

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(N,) columns whose position was measured and may enter a displacement."""
        return usable(self.flags) & np.isfinite(self.xy).all(axis=1)
