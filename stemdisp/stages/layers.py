"""Average the cells of each crystal plane parallel to the interface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fitting.directions import coherence
from ..model.fields import VectorField
from ..model.interface import Interface
from ..model.profile import Profile
from ..recipe import LayersSection

Floats = NDArray[np.float64]


def layers(
    field: VectorField, polarization: VectorField | None, interface: Interface, recipe: LayersSection
) -> Profile:
    """Mean, scatter and standard error of displacement and polarization per layer.

    A layer with fewer than ``minimum_cells`` has its ``n`` and no mean.

    Returns
    -------
    Profile
        L rows from layer 0 inwards. Coherence and p-value are those of Rayleigh's test of uniform directions.
    """
    usable = field.valid
    numbers = np.arange(int(interface.layer.max(initial=-1)) + 1)
    rows = [
        _row(field, polarization, usable & (interface.layer == n), interface, recipe.minimum_cells) for n in numbers
    ]
    values = {key: np.array([row[key] for row in rows]) for key in (rows[0] if rows else _row_of_nothing())}
    distance = [
        float(interface.distance_nm[interface.layer == n].mean()) if (interface.layer == n).any() else np.nan
        for n in numbers
    ]
    empty = np.full(len(numbers), np.nan)
    return Profile(
        layer=numbers,
        distance_nm=np.array(distance),
        n=np.array([int((usable & (interface.layer == n)).sum()) for n in numbers], dtype=np.int64),
        o_contrast=empty,
        o_contrast_sem=empty,
        vacancy_rich=empty,
        **values,
    )


def _row_of_nothing() -> dict[str, float]:
    names = ("normal_pm", "normal_sd_pm", "normal_sem_pm", "parallel_pm", "parallel_sd_pm", "parallel_sem_pm")
    return dict.fromkeys((*names, "magnitude_pm", "polarization_uC_cm2", "coherence", "p_value"), float("nan"))


def _row(
    field: VectorField, polarization: VectorField | None, chosen: NDArray[np.bool_], interface: Interface, fewest: int
) -> dict[str, float]:
    row, n = _row_of_nothing(), int(chosen.sum())
    if n < fewest:
        return row
    for name, direction in (("normal", interface.normal), ("parallel", interface.parallel)):
        component = field.along(direction)[chosen]
        row[f"{name}_pm"] = float(component.mean())
        row[f"{name}_sd_pm"] = float(component.std(ddof=1))
        row[f"{name}_sem_pm"] = row[f"{name}_sd_pm"] / float(np.sqrt(n))
    row["magnitude_pm"] = float(np.linalg.norm(field.uv[chosen].mean(axis=0)))
    if polarization is not None:
        row["polarization_uC_cm2"] = float(np.linalg.norm(polarization.uv[chosen].mean(axis=0)))
    row["coherence"], row["p_value"] = coherence(field.uv[chosen])
    return row
