"""Displacements as the lists that TEMUL draws; TEMUL itself is not needed."""

from __future__ import annotations

from ..errors import CalibrationError, StageError
from ..model.analysis import Analysis


def to_temul(analysis: Analysis) -> dict[str, list[float]]:
    """Displacements as ``x, y, u, v`` for ``temul.api.plot_polarisation_vectors``.

        tml.plot_polarisation_vectors(**to_temul(analysis), image=image, sampling=0.01, units="nm", save=None)

    A vector goes from the centroid of the reference neighbours to the moving column, as those of
    ``tml.find_polarisation_vectors(reference, moving)`` do.  Atomap's ``get_polarization_from_second_sublattice`` has
    the opposite sign.  What the analysis subtracted as its reference is not in it.

    Parameters
    ----------
    analysis
        With displacements.

    Returns
    -------
    ``x``, ``y``: where the vectors stand, ``u``, ``v``: their components to the right and down, all in px of the image
    (TEMUL turns the y axis of the plot, and multiplies u and v by its ``sampling``).  Only cells that have a vector.

    Raises
    ------
    CalibrationError
        Where no pixel size is known.
    StageError
        Where there are no displacements yet.
    """
    field, size = analysis.displacement, analysis.micrograph.pixel_size
    if size is None:
        raise CalibrationError(f"{analysis.micrograph.name} has no pixel size, so there are no displacements in pm")
    if field is None:
        raise StageError(
            f"{analysis.micrograph.name} has no displacements yet; run the stages up to displacement first"
        )
    xy, uv = field.xy[field.valid], field.uv[field.valid] / size.xy_pm
    return dict(zip("xyuv", (*xy.T.tolist(), *uv.T.tolist()), strict=True))
