"""Replay changes that were made to columns by hand, on the image they were made on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..flags import Flag
from ..model.columns import Columns
from ..model.lattice import Lattice
from ..model.micrograph import InputFile
from ..model.places import Places
from ..recipe import EditEntry

EDITED, EXCLUDED = int(Flag.EDITED), int(Flag.EXCLUDED)

UNKNOWN = "unknown"
"""Said of a column that is not listed; these are named together."""


def edit(
    columns: Columns, edits: Sequence[EditEntry], inputs: Sequence[InputFile], lattice: Lattice
) -> tuple[Columns, tuple[str, ...]]:
    """Columns with the edits of this image applied, one after another, and sentences about those that were not.

    A moved column starts its fit elsewhere (``EDITED``); a deleted one stays in the table, ``EXCLUDED`` from every
    result. An added one takes its row in the order of site, h, k; one that belonged to another site or cell takes the
    row of that, and gives its own to the column that had it.
    """
    own = {source.sha256 for source in inputs}
    lost, notes = [], []
    for entry in edits:
        if entry.sha256 not in own:
            continue
        columns, why = ACTIONS[entry.action](columns, entry, lattice)
        if why == UNKNOWN:
            lost.append(_name(entry.site, entry.h, entry.k))
        elif why:
            notes.append(f"an edit was not made: {why}")
    if lost:
        notes.append(f"edited columns that are not in this analysis: {', '.join(lost)}")
    return columns, tuple(notes)


def _name(site: str, h: int | None, k: int | None) -> str:
    return f"{site} ({h}, {k})"


def _row(columns: Columns, site: str, h: int | None, k: int | None) -> int:
    """Row of a column, -1 where none is listed."""
    if site not in columns.sites:
        return -1
    return int(columns.rows_of(np.array([columns.sites.index(site)]), np.array([[h, k]]))[0])


def _move(columns: Columns, entry: EditEntry, lattice: Lattice) -> tuple[Columns, str]:
    row = _row(columns, entry.site, entry.h, entry.k)
    if row < 0:
        return columns, UNKNOWN
    xy, flags = columns.xy.copy(), columns.flags.copy()
    xy[row], flags[row] = (entry.x, entry.y), flags[row] | EDITED
    return columns.replace(xy=xy, flags=flags), ""


def _delete(columns: Columns, entry: EditEntry, lattice: Lattice) -> tuple[Columns, str]:
    row = _row(columns, entry.site, entry.h, entry.k)
    if row < 0:
        return columns, UNKNOWN
    flags = columns.flags.copy()
    flags[row] |= EXCLUDED
    return columns.replace(flags=flags), ""


def _add(columns: Columns, entry: EditEntry, lattice: Lattice) -> tuple[Columns, str]:
    name, xy = _name(entry.site, entry.h, entry.k), np.array([entry.x, entry.y], dtype=float)
    if entry.site not in columns.sites:
        return columns, UNKNOWN
    if _row(columns, entry.site, entry.h, entry.k) >= 0:
        return columns, f"{name} cannot be added: it is listed already; move it instead"
    site, hk = columns.sites.index(entry.site), (entry.h, entry.k)
    why = Places(columns, lattice).refused(site, hk, xy)
    if why:
        return columns, f"{name} cannot be added at ({entry.x:g}, {entry.y:g}) px: it {why}"
    new = Columns.at(
        xy[None],
        columns.sites,
        columns.signals,
        site=np.array([site]),
        hk=np.array([hk]),
        island=np.zeros(1, dtype=np.int64),
        flags=np.array([EDITED]),
    )
    arrays = {name: np.concatenate([array, getattr(new, name)]) for name, array in columns.arrays().items()}
    return _ordered(columns.replace(**arrays)), ""


def _reassign(columns: Columns, entry: EditEntry, lattice: Lattice) -> tuple[Columns, str]:
    names = _name(entry.site, entry.h, entry.k), _name(str(entry.to_site), entry.to_h, entry.to_k)
    row, other = _row(columns, entry.site, entry.h, entry.k), _row(columns, str(entry.to_site), entry.to_h, entry.to_k)
    if row < 0:
        return columns, UNKNOWN
    if entry.to_site not in columns.sites:
        return columns, f"{names[0]} cannot become {names[1]}: there is no such site"
    assert entry.to_h is not None and entry.to_k is not None
    to, places = (columns.sites.index(entry.to_site), (entry.to_h, entry.to_k)), Places(columns, lattice)
    if other == row:
        return columns, f"{names[0]} cannot become {names[1]}: that is what it is"
    why = places.refused(*to, columns.xy[row])
    if why:
        return columns, f"{names[0]} cannot become {names[1]}: it {why}"
    flags = columns.flags.copy()
    if other < 0:
        site, hk = columns.site.copy(), columns.hk.copy()
        site[row], hk[row], flags[row] = *to, flags[row] | EDITED
        return _ordered(columns.replace(site=site, hk=hk, flags=flags)), ""
    why = places.refused(int(columns.site[row]), (entry.h, entry.k), columns.xy[other])
    if why:
        return columns, f"{names[0]} cannot become {names[1]}: that column would take its place and {why}"
    both, xy = [row, other], columns.xy.copy()
    xy[both], flags[both] = xy[both[::-1]], flags[both[::-1]] | EDITED
    return columns.replace(xy=xy, flags=flags), ""


def _ordered(columns: Columns) -> Columns:
    """Rows by site, h, k."""
    return columns.take(np.lexsort((columns.hk[:, 1], columns.hk[:, 0], columns.site)))


ACTIONS: dict[str, Callable[[Columns, EditEntry, Lattice], tuple[Columns, str]]] = {
    "move": _move,
    "delete": _delete,
    "add": _add,
    "reassign": _reassign,
}
