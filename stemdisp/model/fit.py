"""How the columns of one signal were fitted: what a report has to say beside their positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Fit:
    """How the fit of a signal went.

    engine
        Who computed: "compiled, avx2", "arrays" ...
    weights
        How pixels were weighed: "poisson" by expected counts, or "uniform".
    gain, dark
        Stored units per count, and the value of a pixel that nothing hits, as the image itself shows them; None where
        it does not.
    reason
        Why these weights, in one sentence.
    iterations
        Steps of the joint fit.
    tail, tail_ratio
        Share of a column's peak height in its tail, and how many times wider than the core that is; 0 and 1 for one
        Gaussian.
    excluded
        Pixels left out as saturated or missing.
    """

    engine: str
    weights: Literal["poisson", "uniform"]
    gain: float | None
    dark: float | None
    reason: str
    iterations: int
    tail: float
    tail_ratio: float
    excluded: int
