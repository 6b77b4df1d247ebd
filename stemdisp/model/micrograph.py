"""A STEM image as it came from the microscope: signals of one area, their pixel size and where both came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError, ReadError

Image = NDArray[Any]
PixelSizeOrigin = Literal["file", "user", "lattice"]


@dataclass(frozen=True)
class PixelSize:
    """Width and height of one pixel in pm, and who says so."""

    x_pm: float
    y_pm: float
    origin: PixelSizeOrigin

    def __post_init__(self) -> None:
        for axis, value in (("x", self.x_pm), ("y", self.y_pm)):
            if not (np.isfinite(value) and 0.5 <= value <= 200):
                raise CalibrationError(
                    f"pixel size {axis} = {value:g} pm: must lie between 0.5 and 200 pm; pass --pixel-size in pm"
                )

    @property
    def xy_pm(self) -> NDArray[np.float64]:
        """(2,) pixel width and height in pm."""
        return np.array([self.x_pm, self.y_pm])


@dataclass(frozen=True)
class Signal:
    """One detector's image, shape (ny, nx), as stored in the file (never filtered).

    ``contrast`` is +1 where columns are bright on dark (HAADF) and -1 where they are dark on bright (ABF).
    """

    name: str
    image: Image
    contrast: Literal[1, -1] = 1

    def __post_init__(self) -> None:
        if self.image.ndim != 2:
            raise ReadError(
                f"signal {self.name}: shape {self.image.shape} is not a 2-D image; pass one image per signal"
            )
        # A view of its own, so that the caller's array stays writable.
        image = self.image.view()
        image.setflags(write=False)
        object.__setattr__(self, "image", image)


@dataclass(frozen=True)
class InputFile:
    """A file an analysis was made from: name, size in bytes, SHA-256 (hex) and the reader that opened it."""

    name: str
    size: int
    sha256: str
    reader: str


@dataclass(frozen=True)
class Micrograph:
    """Signals of one area on one pixel grid.

    ``signals`` maps names (HAADF, ABF ...) to images of equal shape; ``pixel_size`` is None where nothing said it.
    ``notes`` are plain sentences about what reading had to decide (units guessed, channels skipped).  Where a stack of
    frames was aligned, ``frame_shifts_px`` (F, 2) (x, y) says where they stood: what is at p here was at p + shift
    there; frames that were left out have NaN.
    """

    name: str
    signals: Mapping[str, Signal]
    pixel_size: PixelSize | None = None
    inputs: tuple[InputFile, ...] = ()
    notes: tuple[str, ...] = ()
    frames: int = 1
    metadata: Mapping[str, str] = field(default_factory=dict)
    frame_shifts_px: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if not self.signals:
            raise ReadError(f"{self.name}: no image in it")
        shapes = {signal.image.shape for signal in self.signals.values()}
        if len(shapes) > 1:
            raise ReadError(
                f"{self.name}: signals differ in shape ({', '.join(map(str, sorted(shapes)))}); "
                "give images of one area on one pixel grid"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of every signal."""
        ny, nx = next(iter(self.signals.values())).image.shape
        return int(ny), int(nx)

    @property
    def blank(self) -> bool:
        """Whether it holds not a single pixel: only the positions of columns are known."""
        return all(not np.isfinite(signal.image).any() for signal in self.signals.values())

    def with_pixel_size(self, pixel_size: PixelSize | None) -> Micrograph:
        """The same signals under another pixel size."""
        return replace(self, pixel_size=pixel_size)

    def was_read_from(self, sha256: str) -> bool:
        """Whether a file of this SHA-256 (hex) is among the inputs."""
        return any(sha256 == source.sha256 for source in self.inputs)

    def shows_the_same(self, other: Micrograph) -> bool:
        """Whether an analysis of this one is one of ``other``: equal pixels, and equal pixel sizes as far as their
        files say so."""
        if self is other:
            return True
        if other.pixel_size is None:
            given = self.pixel_size is None or self.pixel_size.origin != "file"
        else:
            given = self.pixel_size is not None and (
                self.pixel_size.origin != "file" or self.pixel_size == other.pixel_size
            )
        return (
            given
            and self.inputs == other.inputs
            and self.signals.keys() == other.signals.keys()
            and all(
                signal is other.signals[name] or np.array_equal(signal.image, other.signals[name].image, equal_nan=True)
                for name, signal in self.signals.items()
            )
        )
