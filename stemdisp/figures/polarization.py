"""The vector map of polarization, and what it assumes."""

from __future__ import annotations

from matplotlib.axes import Axes

from ..model.domains import Domains
from ..model.fields import VectorField
from ..model.interface import Interface
from ..model.micrograph import Micrograph
from .vectors import VectorMap, draw_vectors
from .window import Windows


def draw_polarization(
    ax: Axes,
    micrograph: Micrograph,
    field: VectorField,
    *,
    interfaces: tuple[Interface, ...] = (),
    signal: str | None = None,
    windows: tuple[Windows, ...] = (),
    domains: Domains | None = None,
) -> VectorMap:
    """The same map as of displacements in µC/cm²; the field's assumption (model, charges) belongs under it.

    ``domains`` are those of the polarization, whose vortices may run against those of the displacement.
    """
    if field.unit != "uC/cm2":
        raise ValueError(f"polarization map: the field is in {field.unit}; give one in uC/cm2")
    return draw_vectors(ax, micrograph, field, interfaces=interfaces, signal=signal, windows=windows, domains=domains)
