"""Average the cells of each crystal plane parallel to the interface, and say which means are not zero."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..fitting.directions import coherence
from ..fitting.discovery import discoveries, in_sequence
from ..fitting.groups import Rows, members
from ..model.dilution import Dilution
from ..model.fields import VectorField
from ..model.interface import Interface
from ..model.maps import Maps
from ..model.profile import Profile
from ..model.vacancies import Vacancies
from ..recipe import LayersSection

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVEL, ALONE = 0.05, 0.01
"""Layers are called displaced one after the other from the interface on, as long as each stands above its error at the
first level: in such a sequence the whole is as safe as one test (Maurer, Hothorn and Lehmacher 1995). Any other layer
only where false discoveries among all are held at the second."""

RESAMPLED = 400
"""Bootstrap samples of a layer's cells: its standard error is then good to 4 %."""

LAGS = (1, 2)
"""Neighbours along a layer, next and next but one, whose errors may be alike."""

CORRELATED = 3.0
"""Standard errors by which a correlation has to stand out before it counts."""


@dataclass(frozen=True)
class _Scatter:
    """How cells scatter about the mean of their layer: covariance (2, 2) of (normal, parallel) of one cell over all
    layers, its degrees of freedom, by what factor (2,) neighbours that err together enlarge the variance of a mean, and
    the covariance (2, 2) of the reference that was subtracted from all."""

    cell: Floats
    freedom: int
    together: Floats
    reference: Floats


def layers(
    field: VectorField,
    polarization: VectorField | None,
    interface: Interface,
    vacancies: Vacancies | None,
    dilution: Dilution | None,
    recipe: LayersSection,
    *,
    maps: Maps | None = None,
) -> Profile:
    """Mean, scatter and standard error of displacement, polarization and strain per layer.

    A layer with fewer than ``minimum_cells`` has its ``n`` and no mean.

    Returns
    -------
    Profile
        L rows from layer 0 inwards. Coherence and its p-value are those of Rayleigh's test of uniform directions, the
        p-value of the shift is Hotelling's (1931, doi 10.1214/aoms/1177732979) with the scatter of all layers' cells
        about their means.
    """
    usable = field.valid
    components = np.stack([field.along(interface.normal), field.along(interface.parallel)], axis=1)
    chosen = members(interface.layer, usable)
    numbers = np.arange(len(chosen))
    trusted = [rows for rows in chosen if len(rows) >= recipe.minimum_cells]
    scatter = _scatter(field, interface, components, trusted)
    polar = _polar(polarization, interface, usable, recipe.minimum_cells)
    rows = [_row(field, components, one, scatter, recipe.minimum_cells) for one in chosen]
    values = {key: np.array([row[key] for row in rows]) for key in (rows[0] if rows else _row_of_nothing())}
    every = members(interface.layer, np.ones(len(field), dtype=bool))
    distance = [float(interface.distance_nm[one].mean()) if len(one) else np.nan for one in every]
    level = values["shift_p_value"]
    believed = in_sequence(level, LEVEL) | discoveries(level, ALONE)
    nothing = np.full(len(numbers), np.nan)
    return Profile(
        layer=numbers,
        distance_nm=np.array(distance),
        n=np.array([len(one) for one in chosen], dtype=np.int64),
        significant=np.where(np.isfinite(level), believed, np.nan),
        o_contrast=nothing if vacancies is None else vacancies.contrast,
        o_contrast_sem=nothing if vacancies is None else vacancies.contrast_sem,
        vacancy_rich=nothing if vacancies is None else vacancies.rich,
        o_contrast_p_value=nothing if vacancies is None else vacancies.p_value,
        expansion_pm=nothing if vacancies is None else vacancies.expansion_pm,
        expansion_sem_pm=nothing if vacancies is None else vacancies.expansion_sem_pm,
        **values,
        **_atoms(values, dilution, vacancies),
        **polar,
        **_strain(field, maps, interface, recipe.minimum_cells),
    )


def _polar(polarization: VectorField | None, interface: Interface, usable: Mask, fewest: int) -> dict[str, Floats]:
    """Each layer's mean polarization and its components, with standard errors as those of the displacement are made."""
    names = ("p_normal_uC_cm2", "p_parallel_uC_cm2")
    keys = ("polarization_uC_cm2", *(name.replace("_uC", end + "_uC") for name in names for end in ("", "_sem")))
    found = {key: np.full(int(interface.layer.max(initial=-1)) + 1, np.nan) for key in keys}
    if polarization is None:
        return found
    components = np.stack([polarization.along(interface.normal), polarization.along(interface.parallel)], axis=1)
    known = members(interface.layer, usable & polarization.valid)
    scatter = _scatter(polarization, interface, components, [one for one in known if len(one) >= fewest])
    for n, one in enumerate(known):
        if len(one) < fewest:
            continue
        mean, variance = components[one].mean(axis=0), components[one].var(axis=0, ddof=1)
        sem = np.sqrt(variance * scatter.together / len(one) + np.diag(scatter.reference))
        found["polarization_uC_cm2"][n] = np.linalg.norm(polarization.uv[one].mean(axis=0))
        for i, name in enumerate(names):
            found[name][n], found[name.replace("_uC", "_sem_uC")][n] = mean[i], sem[i]
    return found


def _atoms(values: dict[str, Floats], dilution: Dilution | None, vacancies: Vacancies | None) -> dict[str, Floats]:
    """Mean displacements of the moving atoms, from those of their columns.

    Where oxygen is fainter than in the bulk the column may hold less of what stays behind, and show more of the atom's
    displacement: what that would make is part of the error.
    """
    share, std = (np.nan, np.array(np.nan)) if dilution is None else (dilution.share, np.array(dilution.std))
    if vacancies is not None:
        left = np.where(vacancies.rich == 1, vacancies.contrast.clip(0, 1), 1.0)
        std = np.hypot(std, share / (left + (1 - left) * share) - share)
    found = {}
    for name in ("normal", "parallel"):
        mean = values[f"{name}_pm"] / share
        found[f"atom_{name}_pm"] = mean
        found[f"atom_{name}_sem_pm"] = np.hypot(values[f"{name}_sem_pm"] / share, mean * std / share)
    return found


def _strain(field: VectorField, maps: Maps | None, interface: Interface, fewest: int) -> dict[str, Floats]:
    """Mean strain across and along the interface and its standard error, of layers with enough cells that have one."""
    if maps is None:
        names = [f"strain_{name}_{end}percent" for name in ("normal", "parallel") for end in ("", "sem_")]
        return dict.fromkeys(names, np.full(int(interface.layer.max(initial=-1)) + 1, np.nan))
    strain = np.stack([maps.e_normal_percent, maps.e_parallel_percent], axis=1)
    known = np.asarray(np.isfinite(strain).all(axis=1))
    chosen = members(interface.layer, known)
    scatter = _scatter(replace(field, offset_std=None), interface, strain, [c for c in chosen if len(c) >= fewest])
    found = {}
    for i, name in enumerate(("normal", "parallel")):
        own = [strain[one, i] if len(one) >= fewest else np.full(2, np.nan) for one in chosen]
        found[f"strain_{name}_percent"] = np.array([one.mean() for one in own])
        sem = [float(one.std(ddof=1)) * np.sqrt(scatter.together[i] / len(one)) for one in own]
        found[f"strain_{name}_sem_percent"] = np.array(sem)
    return found


def _row_of_nothing() -> dict[str, float]:
    names = ("normal_pm", "normal_sd_pm", "normal_sem_pm", "parallel_pm", "parallel_sd_pm", "parallel_sem_pm")
    others = ("magnitude_pm", "magnitude_sem_pm", "shift_p_value", "coherence", "p_value")
    return dict.fromkeys((*names, *others), float("nan"))


def _scatter(field: VectorField, interface: Interface, components: Floats, layers: list[Rows]) -> _Scatter:
    """From the cells of layers that are large enough."""
    reference = np.zeros((2, 2))
    if field.offset_std is not None:
        for i, direction in enumerate((interface.normal, interface.parallel)):
            reference[i, i] = float(((field.offset_std * direction) ** 2).sum())
    freedom = sum(len(one) - 1 for one in layers)
    if freedom < 2:
        return _Scatter(np.full((2, 2), np.nan), 0, np.ones(2), reference)
    parts: list[Floats] = []
    pairs: list[list[Floats]] = [[] for _ in LAGS]
    for one in layers:
        off = components[one] - components[one].mean(axis=0)
        place = field.xy[one] @ interface.parallel
        along = np.argsort(place, kind="stable")
        off, place = off[along], place[along]
        parts.append(off)
        step = np.median(np.diff(place))
        for lag, products in zip(LAGS, pairs, strict=True):
            beside = np.abs(place[lag:] - place[:-lag] - lag * step) < 0.5 * step
            # Departures from a mean of n correlate by -1/(n - 1) by themselves.
            products.append((off[lag:] * off[:-lag] + (off**2).sum(axis=0) / len(off) / (len(off) - 1))[beside])
    off = np.concatenate(parts)
    cell = off.T @ off / freedom
    together = np.ones(2)
    for products in pairs:
        joined = np.concatenate(products)
        if len(joined) and (np.diag(cell) > 0).all():
            correlation = joined.mean(axis=0) / np.diag(cell)
            together += np.where(correlation * np.sqrt(len(joined)) > CORRELATED, 2 * correlation, 0.0)
    return _Scatter(cell, freedom, together, reference)


def _row(field: VectorField, components: Floats, chosen: Rows, scatter: _Scatter, fewest: int) -> dict[str, float]:
    row, n = _row_of_nothing(), len(chosen)
    if n < fewest:
        return row
    mean = components[chosen].mean(axis=0)
    for i, name in enumerate(("normal", "parallel")):
        sd = float(components[chosen, i].std(ddof=1))
        row[f"{name}_pm"], row[f"{name}_sd_pm"] = float(mean[i]), sd
        row[f"{name}_sem_pm"] = float(np.sqrt(sd**2 * scatter.together[i] / n + scatter.reference[i, i]))
    row["magnitude_pm"] = float(np.linalg.norm(mean))
    row["magnitude_sem_pm"] = _bootstrap(components[chosen], scatter)
    row["shift_p_value"] = _level(mean, n, scatter)
    row["coherence"], row["p_value"] = coherence(field.uv[chosen])
    return row


def _level(mean: Floats, n: int, scatter: _Scatter) -> float:
    """Level at which a mean vector of ``n`` cells is zero (Hotelling)."""
    from scipy.special import fdtrc

    root = np.sqrt(scatter.together)
    covariance = scatter.cell * np.outer(root, root) / n + scatter.reference
    if scatter.freedom < 2 or not np.linalg.det(covariance) > 0:
        return float("nan")
    squared = float(mean @ np.linalg.solve(covariance, mean))
    free = scatter.freedom
    return float(fdtrc(2, free - 1, squared * (free - 1) / (2 * free)))


def _bootstrap(vectors: Floats, scatter: _Scatter) -> float:
    """Standard deviation of the length of the mean of resampled vectors (n, 2); what all layers share is added."""
    n = len(vectors)
    # By their normal component, which is the same whatever way the image is turned.
    vectors = vectors[np.argsort(vectors[:, 0], kind="stable")]
    rows = np.random.default_rng(n).integers(0, n, (RESAMPLED, n))
    lengths = np.hypot(*(component[rows].mean(axis=1) for component in vectors.T))
    # A bootstrap of n values knows n / (n - 1) too little of their variance.
    own = float(lengths.var(ddof=1)) * n / (n - 1) * float(scatter.together.mean())
    return float(np.sqrt(own + float(np.trace(scatter.reference)) / 2))
