"""Other programs, used as their documentation says, on images whose truth is known."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the messages of Atomap, HyperSpy and what they load."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def load_atomap() -> None:
    """Import what Atomap needs, so that it is not part of what is timed."""
    with _quiet():
        import atomap.api
        import atomap.tools  # noqa: F401


def atomap_two_sublattices(
    image: NDArray[np.generic], bright: Floats, faint: Floats, *, centre_of_mass: bool = True
) -> tuple[Floats, Floats]:
    """Positions (n, 2) of two sublattices by Atomap's documented chain: the brightest columns by centre of mass and by
    2-D Gaussians, those taken off the image, then the others in the same way; from the starts ``bright``, ``faint``."""
    with _quiet():
        import atomap.api as am
        from atomap.tools import remove_atoms_from_image_using_2d_gaussian

        pixels, found = np.asarray(image, dtype=float), []
        for start in (bright, faint):
            sublattice = am.Sublattice(start.tolist(), image=pixels)
            sublattice.find_nearest_neighbors()
            if centre_of_mass:
                sublattice.refine_atom_positions_using_center_of_mass(show_progressbar=False)
            sublattice.refine_atom_positions_using_2d_gaussian(percent_to_nn=0.4, show_progressbar=False)
            found.append(np.array(sublattice.atom_positions, dtype=float))
            if start is bright:
                pixels = remove_atoms_from_image_using_2d_gaussian(pixels, sublattice, show_progressbar=False)
        return found[0], found[1]
