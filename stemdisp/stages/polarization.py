"""Turn displacements into polarization: P = (e / Omega) Z* d, with one site taken to have moved in a rigid rest.

A displacement between two sublattices fixes neither the size nor the sign of P by itself; the model is a choice of the
recipe and is printed wherever P is, and what the other models would say beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from ..crystal import Motif
from ..dipole import UC_CM2_PER_E_A2
from ..errors import RecipeError
from ..materials import Material
from ..model.fields import VectorField
from ..polarization_section import PolarizationSection

Model = Literal["moving_site", "reference_site", "kappa", "full"]

MODELS: tuple[Model, ...] = ("moving_site", "reference_site", "kappa", "full")


def polarization(
    field: VectorField, motif: Motif, signal: str, recipe: PolarizationSection, full: VectorField | None = None
) -> VectorField | None:
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
    full
        What all atoms together give, for the model of that name.

    Returns
    -------
    VectorField | None
        None where the recipe asks for no polarization. NaN everywhere, with the reason as the ``assumption``, where a
        number that the model needs is neither in the recipe nor in the crystal's table.
    """
    model = recipe.model_of(motif.material)
    if model == "none":
        return None
    if model == "full":
        return full
    try:
        factor, assumption = _kappa(motif, recipe) if model == "kappa" else _rigid(motif, model, signal, recipe)
    except RecipeError as error:
        nothing = field.times(float("nan"), "uC/cm2", f"{model}: {error}")
        return replace(nothing, significant=np.zeros(len(field), dtype=bool))
    return field.times(factor, "uC/cm2", assumption)


def alternatives(
    field: VectorField, motif: Motif, signal: str, recipe: PolarizationSection, full: VectorField | None = None
) -> dict[str, VectorField]:
    """Model -> polarization as :func:`polarization` has it, of every model whose numbers are known; a charge or kappa
    that the recipe gives counts for its own model alone."""
    own = recipe.model_of(motif.material)
    if own == "none":
        return {}
    found: dict[str, VectorField] = {}
    for model in MODELS:
        asked = recipe if model == own else PolarizationSection(model=model, dilution=recipe.dilution)
        one = polarization(field, motif, signal, asked, full)
        if one is not None and one.valid.any():
            found[model] = one
    return found


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
