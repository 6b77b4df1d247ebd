"""How far the steps of an iteration may go: less for what turns back, more for what goes on.

Gauss-Newton steps swing where two parameters trade against each other (a tail's weight and width), or where a column
has no minimum of its own (an empty place under the tails of its neighbours).  Halving the reach of what turns back
makes every such swing die out without slowing the others (the idea of Rprop, Riedmiller and Braun 1993, doi
10.1109/ICNN.1993.298623).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PERSISTENT = 0.7
"""A step that turns back and is longer than this share of the last one would swing on for long."""


class Pace:
    """Longest allowed step of each of n vectors (n, d); starts at ``longest`` (n,) and never exceeds it."""

    def __init__(self, longest: Floats) -> None:
        self.longest = longest
        self.reach = longest.copy()
        self._last: Floats | None = None

    def limited(self, step: Floats) -> Floats:
        """The steps (n, d), those beyond their reach shortened; remembers them for the next call."""
        length = np.linalg.norm(step, axis=1)
        if self._last is not None:
            before = np.linalg.norm(self._last, axis=1)
            turns_back = (step * self._last).sum(axis=1) < -0.5 * length * before
            swings = turns_back & (length > PERSISTENT * before)
            self.reach = np.where(swings, 0.5 * np.minimum(self.reach, before), 3.0 * self.reach)
            self.reach = np.minimum(self.reach, self.longest)
        short = step * np.minimum(1.0, self.reach / np.maximum(length, 1e-300))[:, None]
        self._last = np.asarray(short, dtype=np.float64)
        return self._last

    def shorten(self) -> None:
        """Go a quarter as far as last time: those steps were too long."""
        if self._last is not None:
            self.reach = np.minimum(self.reach, 0.25 * np.linalg.norm(self._last, axis=1))
            self._last = None
