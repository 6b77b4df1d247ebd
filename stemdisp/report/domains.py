"""What the page says of domain walls and vortices: a table of each, and a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..model.analysis import Analysis
from ..model.domains import Vortex, Wall
from .words import JOIN, NOTHING, count, fixed, with_error

Row = dict[str, Any]

OPPOSITE_DEG = 134.0
"""Displacements that turn by more than this are called opposite."""


def tables_of_domains(analysis: Analysis) -> Row | None:
    """Sentences, walls and vortices as text; None where there are none."""
    found, size = analysis.domains, analysis.micrograph.pixel_size
    if not found or size is None:
        return None
    walls = [_wall(number, one, size.xy_pm / 1000) for number, one in enumerate(found.walls, 1)]
    vortices = [_vortex(one, size.xy_pm / 1000) for one in found.vortices]
    polar = analysis.domains_of_polarization
    for row, one in zip(vortices, polar.vortices if polar else (), strict=False):
        row["polarization"] = _sense(one)
    said = [_walls_sentence(found.walls), _vortices_sentence(found.vortices), f"{_first_capital(found.sentence)}."]
    return {"walls": walls, "vortices": vortices, "polar": bool(polar), "sentences": [one for one in said if one]}


def _first_capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _wall(number: int, wall: Wall, pixel_nm: np.ndarray[Any, Any]) -> Row:
    x, y = wall.point_px * pixel_nm
    normal = float(np.degrees(np.arctan2(-wall.normal[1], wall.normal[0])))
    one, other = (f"{fixed(angle, 0)}°" if np.isfinite(angle) else NOTHING for angle in wall.directions_deg)
    return {
        "name": f"W{number}",
        "place": f"{fixed(x, 2)}, {fixed(y, 2)}",
        "error": fixed(wall.position_std_nm, 3),
        "normal": f"{fixed(normal, 1)}°",
        "width": with_error(wall.width_nm, wall.width_std_nm),
        "turn": _turn(wall),
        "sides": f"{one} → {other}",
        "rows": len(wall.points_px),
    }


def _turn(wall: Wall) -> str:
    return f"{with_error(wall.turn_deg, wall.turn_std_deg)}°" if np.isfinite(wall.turn_deg) else NOTHING


def _sense(vortex: Vortex) -> str:
    return NOTHING if vortex.sense == "none" else vortex.sense


def _vortex(vortex: Vortex, pixel_nm: np.ndarray[Any, Any]) -> Row:
    (x, y), (dx, dy) = vortex.xy_px * pixel_nm, vortex.std_px * pixel_nm
    return {
        "x": with_error(x, dx),
        "y": with_error(y, dy),
        "charge": f"{vortex.charge:+d}".replace("-", "−"),
        "sense": _sense(vortex),
        "polarization": NOTHING,
    }


def _walls_sentence(walls: tuple[Wall, ...]) -> str:
    """How many walls there are, and of which kind."""
    if not walls:
        return ""
    opposite = sum(not wall.turn_deg <= OPPOSITE_DEG for wall in walls)
    kinds = []
    if opposite:
        kinds.append(f"{count(opposite, 'wall')} between opposite displacements")
    if opposite < len(walls):
        turned = [wall.turn_deg for wall in walls if wall.turn_deg <= OPPOSITE_DEG]
        angles = sorted({f"{angle:.0f}" for angle in turned}, key=float)
        by = angles[0] if len(angles) == 1 else f"{angles[0]} to {angles[-1]}"
        kinds.append(f"{count(len(turned), 'wall')} at which the displacement turns by {by}°")
    return (
        f"There {'is' if len(walls) == 1 else 'are'} {' and '.join(kinds)}; the error of a position is that of its "
        "mean along the normal, and the width w that of tanh(distance / w)."
    )


def _vortices_sentence(vortices: tuple[Vortex, ...]) -> str:
    """How many vortices there are, and how many of them are antivortices."""
    if not vortices:
        return ""
    against = sum(one.charge < 0 for one in vortices)
    kind = "is an antivortex" if against == 1 else "are antivortices"
    of_them = f", of which {against}{JOIN}{kind}" if against else ""
    return (
        f"The displacement winds around {count(len(vortices), 'point')}{of_them}; the sense is as seen on the screen, "
        "for the displacement and, where that is the displacement times a number, for the polarization."
    )
