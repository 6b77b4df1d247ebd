from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int32]
_Pixels = NDArray[np.floating[Any]]

BIN: int
MARGIN: int

def levels() -> list[str]: ...
def level() -> str: ...
def use(name: str) -> None: ...

class Tables:
    def __init__(self, *tables: Any) -> None: ...

class Neighbours:
    def __init__(self, pair: _Ints, columns: int, elements: int) -> None: ...

def sum(
    tables: Tables,
    pairs: Neighbours,
    image: _Pixels,
    columns: _Floats,
    knots: _Floats,
    shape: _Floats,
    totals: _Floats,
    blocks: _Pixels | None,
    border: _Floats | None,
    corner: _Floats | None,
    rest: _Pixels | None,
    weight: _Pixels | None,
    threads: int,
) -> None: ...
def solve(pairs: Neighbours, blocks: _Pixels, *arguments: Any) -> int: ...
def covariance(pairs: Neighbours, blocks: _Pixels, *arguments: Any) -> None: ...
def bins(
    start: _Floats, radius: _Floats, nx: int, ny: int, x0: float, y0: float, step: float
) -> tuple[_Ints, _Ints]: ...
def disc_sums(image: NDArray[Any], xy: _Floats, radius: float, sums: _Floats, threads: int) -> None: ...
def mark(xy: _Floats, radius: _Floats, mask: NDArray[np.uint8]) -> None: ...
def fit_windows(
    image: _Pixels,
    weight: _Pixels | None,
    start: _Floats,
    shape: _Floats,
    limit: _Floats,
    own: _Floats | None,
    model: tuple[int, bool, bool, float, float],
    rule: tuple[int, float, float, float, int],
    results: _Floats,
    reports: _Ints,
    threads: int,
) -> None: ...
