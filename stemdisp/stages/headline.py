"""Say where the strongest layer (all cells, where there are no layers) points, and what every model makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..direction import nearest_direction
from ..model.dilution import Dilution
from ..model.fields import VectorField
from ..model.headline import Direction, Estimate, Headline
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize
from ..model.side import Side

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVEL = 0.01
"""Level at which the mean of all cells has to differ from zero before its direction is named."""

UNSURE_DEG = 15.0
"""Standard deviation of a direction above which no name is given to it: half the angle between named neighbours."""

FEWEST = 3


def headline(
    field: VectorField,
    models: Mapping[str, VectorField],
    side: Side | None,
    dilution: Dilution | None,
    lattice: Lattice,
    pixel_size: PixelSize,
) -> Headline | None:
    """Mean displacement of the strongest layer, the direction it has in the crystal, and its polarization by model.

    Parameters
    ----------
    field, models
        Displacements (pm) and polarizations (uC/cm2) of the cells, those by model.
    side
        An interface and the layers below it; None where there is none.
    dilution
        Its error is part of what ``moving_site`` says.
    lattice, pixel_size
        How the crystal lies in the image.

    Returns
    -------
    Headline | None
        None where fewer than three cells, or no layer, have a mean. Errors are standard errors of the mean as the
        layers have them; without layers cells are taken for independent.
    """
    axes, layer, cells = np.eye(2), None, field.valid
    sem, believed = None, False
    if side is not None:
        interface, profile = side.interface, side.profile
        row = None if profile is None else profile.strongest
        if profile is None or row is None:
            return None
        layer, axes = int(profile.layer[row]), np.stack([interface.normal, interface.parallel])
        cells = cells & (interface.layer == layer)
        sem = np.array([profile.normal_sem_pm[row], profile.parallel_sem_pm[row]])
        believed = bool(profile.significant[row] == 1)
    if cells.sum() < FEWEST:
        return None
    mean, own = _mean(field.uv[cells] @ axes.T)
    # What neighbours err together and the reference's error enlarge all means alike.
    grown = np.ones(2) if sem is None else sem / np.sqrt(np.diag(own))
    cov = own * np.outer(grown, grown)
    if sem is None:
        believed = _differs(mean, cov)
    estimates = (
        _estimate(model, one.uv[cells & one.valid] @ axes.T, grown, mean, dilution)
        for model, one in models.items()
        if (cells & one.valid).sum() >= FEWEST
    )
    found = Headline(
        layer,
        int(cells.sum()),
        mean @ axes,
        axes.T @ cov @ axes,
        believed,
        None,
        "the displacement does not stand above its error",
        tuple(replace(one, vector=one.vector @ axes, cov=axes.T @ one.cov @ axes) for one in estimates),
    )
    to_pm = field.straight(np.diag(pixel_size.xy_pm))
    return _pointing(found, side, lattice, to_pm) if believed else found


def _mean(vectors: Floats) -> tuple[Floats, Floats]:
    """Mean of vectors (n, 2) and its covariance if they are independent."""
    return vectors.mean(axis=0), np.cov(vectors.T) / len(vectors)


def _differs(mean: Floats, cov: Floats) -> bool:
    """Whether a mean differs from zero."""
    if not np.linalg.det(cov) > 0:
        return bool(mean.any())
    return bool(np.exp(-0.5 * mean @ np.linalg.solve(cov, mean)) < LEVEL)


def _estimate(model: str, vectors: Floats, grown: Floats, moved: Floats, dilution: Dilution | None) -> Estimate:
    mean, own = _mean(vectors)
    cov = own * np.outer(grown, grown)
    if model == "moving_site" and dilution is not None:
        cov = cov + (dilution.std / dilution.share) ** 2 * np.outer(mean, mean)
    along = moved / np.linalg.norm(moved)
    return Estimate(model, mean, cov, float(mean @ along), float(np.sqrt(along @ cov @ along)))


def _pointing(found: Headline, side: Side | None, lattice: Lattice, to_pm: Floats) -> Headline:
    """With the name of its direction, if that is known well enough; vectors in px times ``to_pm`` are pm."""
    to_crystal = np.linalg.solve(lattice.cell @ to_pm, lattice.motif.cell_A)
    vector, cov = found.mean_pm @ to_crystal, to_crystal.T @ found.cov_pm @ to_crystal
    length = float(np.linalg.norm(vector))
    across = np.array([-vector[1], vector[0]]) / length
    std = float(np.degrees(np.sqrt(across @ cov @ across) / length))
    if not std <= UNSURE_DEG:
        return replace(found, no_direction=f"the standard deviation of its direction is {std:.0f} degrees")
    named = nearest_direction(lattice.motif, vector, None if side is None else side.interface.plane)
    if named is None:
        return replace(found, no_direction="no direction of low indices lies across the beam")
    return replace(
        found,
        direction=Direction(named.indices, named.exact, named.normal, named.off_deg, std),
        no_direction="",
    )
