"""Crystals from CIF files: all atoms of the cell, projected along a zone axis, as the [structure] of a recipe."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal import Projection, project_atoms
from ..errors import RecipeError
from ..materials import ANIONS, ATOMIC_NUMBER, HAADF_EXPONENT, parse_zone
from ..recipe import Recipe, parse
from .text import one_line

log = logging.getLogger(__name__)

LARGEST_BYTES = 8 * 2**20
"""Larger files hold more than the structure of a crystal."""

MOST_ATOMS = 2000
"""Cells with more atoms have no columns that could be told apart."""

MOST_COLUMNS, MOST_NOTES = 100, 20
"""Columns and sentences that a [structure] table holds."""

MOST_PAIRS = 200
"""Pairs of sites tried as moving and reference where none are named."""

LONGEST_A = 1000.0
"""Longest axis (angstrom) of a cell."""

OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
"""Where a file lists its symmetry operations."""

GROUPS = (
    "_space_group.it_number",
    "_space_group_it_number",
    "_symmetry_int_tables_number",
    "_space_group.patterson_name_h-m",
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_hall",
    "_symmetry_space_group_name_hall",
)
"""Where a file names its space group.  Either says which atoms follow from those that are listed."""

SAME_ATOM_A = 0.05
"""Images of an atom closer than this (angstrom) are one: it lies on the symmetry element."""


def recipe_from_cif(path: str | Path, zone: str, *, moving: str | None = None, reference: str | None = None) -> Recipe:
    """The recipe of a crystal in a CIF file, seen along a zone axis of its cell.

    Parameters
    ----------
    path
        CIF file with a cell, atoms and their symmetry; its first block with a structure is taken.
    zone
        Zone axis in the axes of the file's cell.
    moving, reference
        Sites whose relative displacement is measured; unset = the two strongest cation columns in HAADF, by Z^1.7, of
        which the second is centred among the first.

    Returns
    -------
    Recipe with a [structure] table: it needs the file no more.

    Raises
    ------
    RecipeError
        The file cannot be read, has no symmetry, partly occupied sites or unknown elements; or the zone shows no two
        kinds of columns that could be measured against each other.
    """
    path = Path(path)
    shown = one_line(path.name)
    block = _block(path)
    cell, elements, fractions = _atoms(block, shown)
    seen = project_atoms(cell, elements, fractions, parse_zone(zone))
    if len(seen.sites) > MOST_COLUMNS:
        raise RecipeError(
            f"{shown} along {zone} shows {len(seen.sites)} different columns in a cell; at most {MOST_COLUMNS} can be "
            "told apart: choose another zone, or a file of a smaller cell"
        )
    for note in seen.notes:
        log.warning("%s: %s", shown, note)
    table = _table(seen, f"{shown}, {len(elements)} atoms in the cell")
    volume = abs(float(np.linalg.det(cell)))
    cations = _cations(seen)
    pairs = [(m, r) for r in cations for m in cations if m != r]
    wanted = [(m, r) for m, r in pairs if moving in (None, m) and reference in (None, r)]
    if (moving or reference) and not wanted and len(seen.sites) > 1:
        wanted = [(moving or (cations or seen.sites)[0], reference or (cations or seen.sites)[0])]
    # Two columns of one element come last: usually one of them is a copy of the other.
    wanted.sort(key=lambda pair: _element(pair[0]) == _element(pair[1]))
    reason: RecipeError | None = None
    for one, other in wanted[:MOST_PAIRS]:
        # A displacement belongs to the part of the crystal that is one moving atom's.
        own = round(volume / max(1, elements.count(_element(one))), 6)
        try:
            return parse(
                {
                    "material": {"name": one_line(path.stem, 100), "zone": zone},
                    "structure": {**table, "moving": one, "reference": other, "volume": own},
                },
                shown,
            )
        except RecipeError as error:
            reason = reason or error
    overlaps = "".join(f"; {note}" for note in seen.notes)
    raise reason or RecipeError(
        f"{shown} along {zone} shows the columns {', '.join(seen.sites)}; a displacement needs two kinds of cations: "
        f"choose another zone, or name moving and reference{overlaps}"
    )


def _block(path: Path) -> Any:
    """The first block of a file that holds a structure."""
    from ase.io.cif import parse_cif

    shown = one_line(path.name)
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise RecipeError(f"{shown} has {path.stat().st_size / 2**20:.0f} MiB; a CIF file has at most 8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            blocks = [block for block in parse_cif(str(path)) if block.has_structure()]
    except RecipeError:
        raise
    except OSError as error:
        raise RecipeError(f"{shown} cannot be read: {error.strerror}") from error
    except Exception as error:
        raise RecipeError(f"{shown} cannot be read as CIF: it is damaged, or no CIF file") from error
    if len(blocks) > 1:
        log.warning("%s holds %d structures; the first, %s, is taken", shown, len(blocks), one_line(blocks[0].name, 60))
    if not blocks:
        raise RecipeError(f"{shown} holds no crystal structure: no cell with atoms was found in it")
    return blocks[0]


def _atoms(block: Any, shown: str) -> tuple[NDArray[np.float64], tuple[str, ...], NDArray[np.float64]]:
    """Cell (3, 3) in angstrom, elements (n,) and fractions (n, 3) of all atoms of the cell."""
    if not any(key in block for key in (*OPERATIONS, *GROUPS)):
        raise RecipeError(
            f"{shown} names no space group and lists no symmetry operations, so its atoms may be a part of the cell "
            "only; add _symmetry_space_group_name_H-M 'P 1' if it lists all of them"
        )
    _check_occupancy(block, shown)
    listed = len(block.get("_atom_site_fract_x") or block.get("_atom_site_cartn_x") or ())
    if listed > MOST_ATOMS:
        raise RecipeError(f"{shown} lists {listed} atoms; at most {MOST_ATOMS} in a cell can be projected")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = _all_atoms(block)
            cell = np.array(atoms.cell.array, dtype=float)
            elements = tuple(atoms.get_chemical_symbols())
            fractions = np.array(atoms.get_scaled_positions(), dtype=float)
    except Exception as error:
        raise RecipeError(
            f"{shown}: a cell, elements, coordinates and symmetry that make a crystal are not all in it; look for "
            "values that are missing (?) or no numbers"
        ) from error
    finite = np.isfinite(cell).all() and np.isfinite(fractions).all()
    if not (finite and np.abs(cell).max() <= LONGEST_A and abs(np.linalg.det(cell)) > 1):
        shape = ", ".join(f"{length:.4g}" for row in cell for length in row)
        raise RecipeError(f"{shown}: its cell is no cell ({shape} angstrom)")
    if len(elements) > MOST_ATOMS:
        raise RecipeError(f"{shown} has {len(elements)} atoms in the cell; at most {MOST_ATOMS} can be projected")
    unknown = sorted(set(elements) - ATOMIC_NUMBER.keys())
    if unknown:
        raise RecipeError(f"{shown}: {', '.join(unknown)} is not the symbol of an element")
    return cell, elements, fractions


def _all_atoms(block: Any) -> Any:
    """All atoms of the cell as ASE's Atoms."""
    from ase import Atoms
    from ase.spacegroup.spacegroup import parse_sitesym

    if any(key in block for key in GROUPS):
        return block.get_atoms(fractional_occupancies=False)
    # Operations alone are a space group too, though one without a name.
    listed = block.get_unsymmetrized_structure()
    turns, shifts = parse_sitesym(next(block[key] for key in OPERATIONS if key in block))
    cell, places = np.array(listed.cell.array), np.zeros((0, 3))
    elements: list[str] = []
    for element, place in zip(listed.get_chemical_symbols(), listed.get_scaled_positions(), strict=True):
        own = np.zeros((0, 3))
        for image in np.asarray(turns) @ place + np.asarray(shifts):
            away = (image - own + 0.5) % 1.0 - 0.5
            if not (np.linalg.norm(away @ cell, axis=1) < SAME_ATOM_A).any():
                own = np.vstack([own, image % 1.0])
        places, elements = np.vstack([places, own]), elements + [element] * len(own)
    return Atoms(elements, scaled_positions=places, cell=cell)


def _check_occupancy(block: Any, shown: str) -> None:
    """Raise RecipeError for sites that are not whole atoms."""
    given = block.get("_atom_site_occupancy") or []
    labels = block.get("_atom_site_label") or [f"atom {i + 1}" for i in range(len(given))]
    partial = []
    for label, value in zip(labels, given, strict=False):
        try:
            share = float(str(value).split("(")[0])
        except ValueError:
            continue
        if abs(share - 1) > 1e-3:
            partial.append(f"{one_line(label, 20)} ({share:g})")
    if partial:
        raise RecipeError(
            f"{shown}: partly occupied sites: {', '.join(partial[:6])}; keep one element a site in "
            "the file, or write the projected cell as a [structure] table, where atoms may be fractions"
        )


def _cations(seen: Projection) -> list[str]:
    """Sites that hold more than anions, the strongest in HAADF first."""
    strength = {
        site: sum(n * ATOMIC_NUMBER[e] ** HAADF_EXPONENT for e, n in content.items())
        for site, content in zip(seen.sites, seen.content, strict=True)
        if set(content) - ANIONS
    }
    return sorted(strength, key=lambda site: -strength[site])


def _element(site: str) -> str:
    """The element that a site is named after."""
    return site.rstrip("0123456789")


def _table(seen: Projection, source: str) -> dict[str, Any]:
    """The projection as values of a [structure] table."""
    sites = [
        {"name": name, "x": float(x.round(6)), "y": float(y.round(6)), "atoms": content}
        for name, (x, y), content in zip(seen.sites, seen.fractions, seen.content, strict=True)
    ]
    a, b = (seen.cell_A.round(6) + 0.0).tolist()
    return {
        "a": a,
        "b": b,
        "sites": sites,
        "a_indices": (seen.indices[0].round(6) + 0.0).tolist(),
        "b_indices": (seen.indices[1].round(6) + 0.0).tolist(),
        "repeat": round(seen.repeat_A, 6),
        "overlaps": list(seen.notes)[:MOST_NOTES],
        "source": source,
    }
