"""Turn displacements into polarization: P = (e / Omega) Z* d, with one site taken to have moved in a rigid rest.

A displacement between two sublattices fixes neither the size nor the sign of P by itself; the model is a choice of the
recipe and is printed wherever P is.
"""

from __future__ import annotations

from typing import Literal

from ..crystal import Motif
from ..errors import RecipeError
from ..materials import Material
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
        A number that the model needs is neither in the recipe nor in the crystal's table.
    """
    material = motif.material
    model = material.polarization if recipe.model == "material" else recipe.model
    if model == "none":
        return None
    if model == "kappa":
        factor, assumption = _kappa(motif, recipe)
    else:
        factor, assumption = _rigid(motif, model, signal, recipe)
    return VectorField(
        "uC/cm2",
        field.xy,
        field.uv * factor,
        field.cov * factor**2,
        significant=field.significant,
        assumption=assumption,
    )


def _given(value: float | None, field: str, material: Material, what: str) -> float:
    if value is None:
        raise RecipeError(f"{material.name} has no {what}; set {field} or [polarization] model = none")
    return value


def _kappa(motif: Motif, recipe: PolarizationSection) -> tuple[float, str]:
    """Polarization per pm, and the sentence that says where it comes from."""
    material = motif.material
    known = recipe.kappa if recipe.kappa is not None else material.kappa
    kappa = _given(known, "[polarization] kappa", material, "known polarization per displacement")
    source = material.kappa_source if recipe.kappa is None else "recipe"
    return kappa, f"kappa: {kappa:+g} uC/cm2 per pm of {material.moving} against {material.reference} ({source})"


def _rigid(
    motif: Motif, model: Literal["moving_site", "reference_site"], signal: str, recipe: PolarizationSection
) -> tuple[float, str]:
    """The same where one site moves in a rigid rest."""
    material = motif.material
    site, other = material.moving, material.reference
    sign, weight = 1, motif.dilution(signal) if recipe.dilution is None else recipe.dilution
    if model == "reference_site":
        site, other, sign, weight = other, site, -1, 1.0
    known = recipe.charge if recipe.charge is not None else material.charge(site)
    charge = _given(known, "[polarization] charge", material, f"Born effective charge of {site}")
    volume = _given(material.volume_A3, "[structure] volume", material, "volume of the unit cell")
    source = material.charge_source if recipe.charge is None else "recipe"
    shared = f", {material.moving} displacement = column displacement / {weight:.3g}" if weight != 1 else ""
    rest = "rest" if model == "moving_site" else f"{other} and O"
    factor = sign * UC_CM2_PER_E_A2 * charge / volume / weight / 100
    return factor, f"{model}: {site} moves in a rigid {rest}, Z* = {charge:+g} e ({source}){shared}"
