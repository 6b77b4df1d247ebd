"""Where columns stand as another program measured them, without the image it measured them in."""

from __future__ import annotations

from dataclasses import dataclass

from .columns import Columns
from .micrograph import InputFile, PixelSize


@dataclass(frozen=True, eq=False)
class Positions:
    """Columns from elsewhere, on the pixels of the image they were measured in.

    columns
        One row a column, nothing assigned: ``sites`` are the labels that the other program wrote, ``site`` the index of
        each column's (-1 where there is no label). What was not handed over is NaN.
    pixel_size
        None where nothing said it.
    shape
        (ny, nx) of the image; None where nothing said it.

    ``notes`` are plain sentences about what reading had to decide.
    """

    name: str
    columns: Columns
    pixel_size: PixelSize | None = None
    shape: tuple[int, int] | None = None
    inputs: tuple[InputFile, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns)
