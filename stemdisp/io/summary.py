"""summary.json: the numbers of an analysis that a reader wants first, as plain data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..fitting.directions import coherence
from ..flags import Flag
from ..model.analysis import Analysis
from ..model.columns import Columns
from ..model.fit import Fit
from ..model.micrograph import Micrograph

PM_PER_NM = 1000.0


def plain(value: Any) -> Any:
    """``value`` as strict JSON: arrays as lists, tuples as lists, what is not a finite number as null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _count(columns: Columns, mask: NDArray[np.bool_]) -> dict[str, int]:
    """Columns of a mask: assigned to a site, refined (their position has an error), usable, flagged, and each flag."""
    assigned = mask & (columns.site >= 0)
    refined = assigned & np.isfinite(columns.xy_std).all(axis=1)
    return {
        "assigned": int(assigned.sum()),
        "refined": int(refined.sum()),
        "usable": int((refined & columns.usable).sum()),
        "flagged": int((assigned & (columns.flags != 0)).sum()),
    }


def _flags(bits: NDArray[np.int64]) -> dict[str, int]:
    counts = {str(flag.name): int(np.count_nonzero(bits & int(flag))) for flag in Flag}
    return {name: count for name, count in counts.items() if count}


def counts(analysis: Analysis) -> dict[str, Any]:
    """Columns found, assigned, refined and flagged, in all and by site; cells that are complete, and with a vector."""
    columns, cells, moved = analysis.columns, analysis.cells, analysis.displacement
    found: dict[str, Any] = {"found": None if analysis.peaks is None else len(analysis.peaks)}
    if columns is not None:
        found |= _count(columns, np.ones(len(columns), dtype=bool))
        found["sites"] = {name: _count(columns, columns.of_site(name)) for name in columns.sites}
        found["flags"] = _flags(columns.flags)
        found["other_grains"] = int((columns.island > 0).sum())
    if cells is not None:
        found |= {"cells": len(cells), "complete_cells": int(cells.complete.sum()), "cell_flags": _flags(cells.flags)}
    if moved is not None:
        significant = int(moved.significant.sum()) if moved.judged else None
        found |= {"displacements": int(moved.valid.sum()), "significant": significant}
    return found


def file_pixel_size(micrograph: Micrograph) -> list[float] | None:
    """Pixel width and height in pm as the file said, whatever is used instead."""
    said = [micrograph.metadata.get(f"file_pixel_size_{axis}_pm") for axis in "xy"]
    if all(said):
        return [float(value) for value in said if value]
    size = micrograph.pixel_size
    return [size.x_pm, size.y_pm] if size is not None and size.origin == "file" else None


def calibration(analysis: Analysis) -> dict[str, Any]:
    """Pixel sizes in pm: the one used and who says so, the file's, the lattice's."""
    size, lattice = analysis.micrograph.pixel_size, analysis.lattice
    return {
        "pixel_size_pm": None if size is None else size.xy_pm,
        "pixel_size_from": None if size is None else size.origin,
        "pixel_size_file_pm": file_pixel_size(analysis.micrograph),
        "pixel_size_lattice_pm": None if lattice is None else lattice.scale_pm,
    }


def lattice(analysis: Analysis) -> dict[str, Any] | None:
    """Cell vectors in px (x right, y down), lengths in nm, angles and the affine distortion; None before ``basis``."""
    found, size = analysis.lattice, analysis.micrograph.pixel_size
    if found is None:
        return None
    lengths = None if size is None else np.linalg.norm(found.cell * size.xy_pm, axis=1) / PM_PER_NM
    return {
        "material": found.motif.material.name,
        "zone": found.motif.zone,
        "origin_px": found.origin,
        "a_px": found.a,
        "b_px": found.b,
        "a_nm": None if lengths is None else lengths[0],
        "b_nm": None if lengths is None else lengths[1],
        "angle_px_deg": found.angle_deg,
        "rotation_deg": found.rotation_deg,
        "stretch": None if size is None else size.xy_pm / found.scale_pm,
        "shear_deg": found.shear_deg,
    }


def reference(analysis: Analysis) -> dict[str, Any]:
    """The offset that was subtracted from all displacements (pm), or why none was."""
    moved = analysis.displacement
    if moved is None:
        return {"offset_pm": None, "why_none": "no displacement was measured"}
    if moved.offset is None:
        why = "no bulk region was found or named; one image alone cannot tell a uniform displacement from a tilt"
        return {"offset_pm": None, "why_none": why}
    return {
        "offset_pm": moved.offset,
        "offset_std_pm": moved.offset_std,
        "cells": int(moved.offset_cells.sum()),
        "why_none": None,
    }


def distortion(analysis: Analysis) -> dict[str, Any] | None:
    """Affine distortion of the scan in percent, with standard deviations: stretch along x and y, and shear (twice the
    symmetric element); where it was measured, and whether it was taken out. None where there is none."""
    found, moved = analysis.distortion, analysis.displacement
    if found is None:
        return None
    percent, std = 100 * (found.matrix - np.eye(2)), 100 * found.std
    return {
        "x_percent": percent[0, 0],
        "x_std_percent": std[0, 0],
        "y_percent": percent[1, 1],
        "y_std_percent": std[1, 1],
        "shear_percent": 2 * percent[0, 1],
        "shear_std_percent": 2 * std[0, 1],
        "columns": found.columns,
        "where": found.where,
        "taken_out": moved is not None and moved.distortion is not None,
    }


def fits(analysis: Analysis) -> dict[str, Fit]:
    """Signal -> how its columns were fitted."""
    columns = analysis.columns
    return {} if columns is None else dict(zip(columns.signals, columns.fits, strict=False))


def precision(analysis: Analysis) -> dict[str, Any]:
    """Median standard deviation of the positions by site, and the scatter of the displacements in the bulk, in pm."""
    columns, moved, size = analysis.columns, analysis.displacement, analysis.micrograph.pixel_size
    found: dict[str, Any] = {"std_pm": None, "std_px": None, "bulk_scatter_pm": None}
    if columns is not None:
        good = {name: columns.xy_std[columns.of_site(name) & columns.usable] for name in columns.sites}
        good = {name: std[np.isfinite(std).all(axis=1)] for name, std in good.items()}
        found["std_px"] = {name: np.median(std, axis=0) if len(std) else None for name, std in good.items()}
        if size is not None:
            found["std_pm"] = {name: None if std is None else std * size.xy_pm for name, std in found["std_px"].items()}
    if moved is not None and moved.offset_cells.any():
        bulk = moved.uv[moved.offset_cells & moved.valid]
        found["bulk_scatter_pm"] = bulk.std(axis=0, ddof=1) if len(bulk) > 1 else None
    return found


def frame_precision(analysis: Analysis) -> dict[str, Any] | None:
    """Precision by the scatter between frames over what is stated, for each site and for displacements; None where the
    frames were not fitted one by one."""
    found = analysis.frame_precision
    if found is None:
        return None
    return {
        "signal": found.signal,
        "frames": found.frames,
        "distortion_percent": found.distortion_percent,
        "row_correlation": found.row_correlation,
        "repeats": {
            one.name: {key: value for key, value in vars(one).items() if key != "name"} for one in found.repeats
        },
        "sentence": found.sentence,
    }


def mean_displacement(analysis: Analysis) -> dict[str, Any] | None:
    """Mean vector of all cells as they are reported (x right, y down), its scatter and standard error in pm, and how
    well the directions agree; None where fewer than two cells have a vector.

    The standard error takes cells for independent; those of one image share tilt and drift.
    """
    moved = analysis.displacement
    if moved is None or moved.valid.sum() < 2:
        return None
    vectors = moved.uv[moved.valid]
    mean, sd = vectors.mean(axis=0), vectors.std(axis=0, ddof=1)
    agreement, level = coherence(vectors)
    return {
        "cells": len(vectors),
        "mean_pm": mean,
        "sem_pm": sd / np.sqrt(len(vectors)),
        "sd_pm": sd,
        "magnitude_pm": float(np.hypot(*mean)),
        "angle_deg": float(np.degrees(np.arctan2(-mean[1], mean[0]))),
        "coherence": agreement,
        "p_value": level,
    }


def maps(analysis: Analysis) -> dict[str, Any] | None:
    """Of each map that has values: in how many cells, their median and the mean absolute deviation from it; then what
    they are measured against. None where there are none."""
    found = analysis.maps
    if found is None:
        return None
    said: dict[str, Any] = {}
    for name, values in found.arrays().items():
        known = values[np.isfinite(values)]
        if "_std" not in name and len(known):
            median = float(np.median(known))
            deviation = float(np.abs(known - median).mean())
            said[name] = {"cells": len(known), "median": median, "mean_absolute_deviation": deviation}
    return said | {"bulk_cells": int(found.bulk.sum()), "sentences": found.sentences}


def domains(analysis: Analysis) -> dict[str, Any] | None:
    """Domain walls and vortices; None where there is no displacement to look for them in."""
    found = analysis.domains
    if found is None:
        return None
    return {
        "vortices": [vars(one) for one in found.vortices],
        "walls": [
            {"rows": len(one.points_px), "directions_deg": one.directions_deg}
            | {"turn_deg": one.turn_deg, "turn_std_deg": one.turn_std_deg}
            | vars(one)
            for one in found.walls
        ],
        "component": found.component,
        "sentence": found.sentence,
    }


def interface(analysis: Analysis) -> dict[str, Any] | None:
    """Where the edge of the crystal is; None where there is none."""
    found = analysis.interface
    if found is None:
        return None
    return {
        "point_px": found.point,
        "curve_px": found.curve,
        "normal": found.normal,
        "plane": found.plane,
        "spacing_pm": found.spacing_pm,
        "position_std_nm": found.position_std_nm,
        "from": found.origin,
        "told_by": found.sentence,
        "layers": len(np.unique(found.layer[found.layer >= 0])),
    }


def oxygen(analysis: Analysis) -> dict[str, Any] | None:
    """Which layers are poor in oxygen, from where to where each run of them reaches (nm from the interface), and how
    that was measured; None where there are no layers."""
    if analysis.vacancies is None or analysis.profile is None:
        return None
    poor = analysis.profile.vacancy_rich == 1
    return {
        "vacancy_rich_layers": analysis.profile.layer[poor],
        "window_nm": analysis.vacancy_windows_nm,
        "sentence": analysis.vacancies.sentence,
    }


def external(analysis: Analysis) -> list[dict[str, Any]]:
    """Each profile measured elsewhere: what it is, which distances and how many layers it covers, and how its values
    go with those of the layers (Spearman's rank correlation, layers taken for independent)."""
    return [
        {
            "name": one.name,
            "unit": one.unit,
            "rows": len(one.distance_nm),
            "range_nm": [one.distance_nm[0], one.distance_nm[-1]],
            "layers_covered": int(one.covered.sum()),
            "layers": len(one.at_layers),
            "with_o_contrast": vars(one.o_contrast),
            "with_displacement": vars(one.displacement),
        }
        for one in analysis.external
    ]


def significant_layers(analysis: Analysis) -> NDArray[np.int64] | None:
    """Layers whose mean displacement stands above its error; None where there are no layers."""
    profile = analysis.profile
    return None if profile is None else profile.layer[profile.significant == 1]


def other_side(analysis: Analysis) -> dict[str, Any] | None:
    """The same of the crystal on the other side of the interface; None where nothing else is crystal."""
    if len(analysis.sides) < 2:
        return None
    there = analysis.of_side(1)
    return {"reference": reference(there)} | of_layers(there)


def direction(analysis: Analysis) -> dict[str, Any] | None:
    """The direction of low indices nearest to the mean displacement of the strongest layer (of all cells where there
    are no layers), the angle between them and its standard deviation; ``indices`` is None where that is not known well
    enough, with the reason."""
    found = analysis.headline
    if found is None:
        return None
    told = found.direction
    return {
        "of": found.where,
        "indices": None if told is None else told.indices,
        "exact": None if told is None else told.exact,
        "outward_normal": None if told is None else told.normal,
        "off_deg": None if told is None else told.off_deg,
        "std_deg": None if told is None else told.std_deg,
        "why_none": found.no_direction or None,
    }


def polarization(analysis: Analysis) -> dict[str, Any] | None:
    """Mean polarization of the same cells by every model whose numbers are known (uC/cm2; vectors x right, y down), and
    the range of its component along the mean displacement; None where there is none."""
    found = analysis.headline
    if found is None or found.extremes is None:
        return None
    lowest, highest = found.extremes
    return {
        "of": found.where,
        "model": analysis.polarization_model,
        "assumption": None if analysis.polarization is None else analysis.polarization.assumption,
        "range_uC_cm2": [lowest.along, highest.along],
        "range_std_uC_cm2": [lowest.along_std, highest.along_std],
        "sign_may_flip": found.sign_may_flip,
        "models": {
            one.model: {
                "along_displacement_uC_cm2": one.along,
                "along_displacement_std_uC_cm2": one.along_std,
                "mean_uC_cm2": one.vector,
                "sem_uC_cm2": np.sqrt(np.diag(one.cov)),
                "assumption": analysis.models[one.model].assumption,
            }
            for one in found.estimates
        },
    }


def of_layers(analysis: Analysis) -> dict[str, Any]:
    """What is said of an interface and the layers below it."""
    return {
        "interface": interface(analysis),
        "significant_layers": significant_layers(analysis),
        "decay": None if analysis.decay is None else vars(analysis.decay),
        "oxygen": oxygen(analysis),
        "direction": direction(analysis),
        "polarization": polarization(analysis),
    }


def summary(analysis: Analysis) -> dict[str, Any]:
    """Everything of summary.json as plain data (lists, numbers, text, None)."""
    micrograph, checks = analysis.micrograph, analysis.quality.checks if analysis.quality else ()
    return {
        "format": 1,
        "stemdisp": __version__,
        "name": micrograph.name,
        "signals": list(micrograph.signals),
        "shape": list(micrograph.shape),
        "frames": micrograph.frames,
        "frame_shifts_px": plain(micrograph.frame_shifts_px),
        "recipe": analysis.recipe.digest(),
        "inputs": {one.name: one.sha256 for one in micrograph.inputs},
        "counts": plain(counts(analysis)),
        "calibration": plain(calibration(analysis)),
        "lattice": plain(lattice(analysis)),
        "distortion": plain(distortion(analysis)),
        "signal_shift_px": plain(dict(analysis.signal_shift_px)),
        "reference": plain(reference(analysis)),
        "fits": {signal: plain(vars(fit)) for signal, fit in fits(analysis).items()},
        "displacement": plain(mean_displacement(analysis)),
        "precision": plain(precision(analysis)),
        "frame_precision": plain(frame_precision(analysis)),
        **{name: plain(value) for name, value in of_layers(analysis).items()},
        "other_side": plain(other_side(analysis)),
        "external": plain(external(analysis)),
        "dilution": None if analysis.dilution is None else plain(vars(analysis.dilution)),
        "maps": plain(maps(analysis)),
        "domains": plain(domains(analysis)),
        "checks": [plain(vars(check)) for check in checks],
        "warnings": list(analysis.warnings),
        "left_out": list(analysis.left_out),
        "seconds": plain(dict(analysis.seconds)),
        "device": analysis.device,
    }
