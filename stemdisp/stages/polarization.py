"""Turn displacements into polarization: P = (e / Omega) Z* d, with one site taken to have moved in a rigid rest.

A displacement between two sublattices fixes neither the size nor the sign of P by itself; the model is a choice of the
recipe and is printed wherever P is.
"""

from __future__ import annotations

from typing import Literal

from ..crystal import Motif
from ..errors import RecipeError
from ..materials import format_indices
from ..model.fields import VectorField
from ..recipe import PolarizationSection

UC_CM2_PER_E_A2 = 1602.176634
"""One elementary charge per square angstrom in uC/cm^2 (CODATA 2018, exact)."""


def polarization(field: VectorField, motif: Motif, signal: str, recipe: PolarizationSection) -> VectorField | None:
    """Polarization of every cell in uC/cm^2, in the image frame.

    Parameters
    ----------
    field
        Displacements of the moving site's columns in pm.
    motif
        Projected crystal, for charges, volume and the share of the column's image that the moving atom carries.
    signal
        Which signal the displacement was measured in.
    recipe
        Model, charge and dilution; None in the recipe means the crystal's own.

    Returns
    -------
    VectorField | None
        None where the recipe asks for no polarization.

    Raises
    ------
    RecipeError
        The crystal's table has no dilution for this zone and signal.
    """
    material = motif.material
    model = material.polarization if recipe.model == "material" else recipe.model
    if model == "none":
        return None
    site = material.moving if model == "moving_site" else material.reference
    charge = recipe.charge if recipe.charge is not None else material.charge(site)
    weight = _weight(motif, signal, recipe) if model == "moving_site" else 1.0
    sign: Literal[1, -1] = 1 if model == "moving_site" else -1
    factor = sign * UC_CM2_PER_E_A2 * charge / material.volume_A3 / weight / 100
    source = material.charge_source if recipe.charge is None else "recipe"
    shared = f", {material.moving} displacement = column displacement / {weight:g}" if weight != 1 else ""
    rest = "rest" if model == "moving_site" else f"{material.moving} and O"
    assumption = f"{model}: {site} moves in a rigid {rest}, Z* = {charge:+g} e ({source}){shared}"
    return VectorField(
        "uC/cm2",
        field.xy,
        field.uv * factor,
        field.cov * factor**2,
        significant=field.significant,
        assumption=assumption,
    )


def _weight(motif: Motif, signal: str, recipe: PolarizationSection) -> float:
    """Part of the moving atom's displacement that its column image shows."""
    if recipe.dilution is not None:
        return recipe.dilution
    known = motif.material.dilution.get(motif.zone, {})
    if signal not in known:
        raise RecipeError(
            f"{motif.material.name} {format_indices(motif.zone)} has no dilution for {signal}; "
            "set [polarization] dilution"
        )
    return known[signal]
