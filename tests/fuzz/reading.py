"""What a worker does with one mutated file: read it, and say what came of it."""

from __future__ import annotations

import logging
import os
import resource
import traceback
from dataclasses import dataclass
from pathlib import Path

import h5py  # noqa: F401  # what readers import, before time counts
import numpy as np
import rsciio.digitalmicrograph  # noqa: F401
import tifffile  # noqa: F401
from mutate import mutated

from stemdisp.batch.job import Outcome
from stemdisp.batch.work import Tell
from stemdisp.errors import StemdispError
from stemdisp.io.calibration import LARGEST_PM, SMALLEST_PM
from stemdisp.io.images import SMALLEST_SIDE
from stemdisp.io.read import read
from stemdisp.model.micrograph import Micrograph

IMAGE, REFUSED, MEMORY, WRONG, UNEXPECTED = "image", "refused", "over memory", "wrong", "unexpected"
"""What can come of a file: an image, a typed error, one for want of memory, an image that is none, another error."""


for package in ("rsciio", "tifffile"):  # what they say of damaged files would fill the screen
    logging.getLogger(package).setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Read(Outcome):
    """What came of a file, in ``kind``, and the most memory in bytes that its process had so far."""

    peak: int = 0


@dataclass(frozen=True)
class Case:
    """A mutated file: the seed that it is made from, its number, and where it may be written."""

    seed: Path
    number: int
    folder: Path

    def content(self) -> bytes:
        """The bytes of the file, which depend on the seed's and the number alone."""
        return mutated(self.seed.read_bytes(), np.random.default_rng(self.number))


def wrong(found: Micrograph) -> str:
    """What is wrong with an image that was read without complaint; empty where nothing is."""
    for name, signal in found.signals.items():
        pixels = signal.image
        if pixels.ndim != 2 or min(pixels.shape) < SMALLEST_SIDE or pixels.dtype.kind not in "iuf":
            return f"{name} has shape {pixels.shape} and type {pixels.dtype}"
    size = found.pixel_size
    if size is not None and not all(SMALLEST_PM <= side <= LARGEST_PM for side in size.xy_pm):
        return f"its pixels are {size.xy_pm} pm"
    return "" if found.signals else "it has no signal"


def judge(path: Path) -> tuple[str, str]:
    """What comes of a file, and the sentence."""
    try:
        said = wrong(read(path))
        return (WRONG, said) if said else (IMAGE, "")
    except StemdispError as error:
        sentence = str(error)
        if not sentence.isprintable() or "\n" in sentence:
            return WRONG, f"its sentence is {sentence!r}"
        return MEMORY if isinstance(error.__cause__, MemoryError) else REFUSED, sentence
    except MemoryError as error:
        return MEMORY, str(error)
    except BaseException as error:
        return UNEXPECTED, "".join(traceback.format_exception(error))


def read_mutated(case: Case, tell: Tell) -> Read:
    """Write a file, read it, and take it away; ``tell`` is told when time begins to count."""
    path = case.folder / f"{os.getpid()}_1{case.seed.suffix}"
    path.write_bytes(case.content())
    series = path.with_name(f"{path.stem}_1.ser")
    if path.suffix == ".emi":
        series.write_bytes(case.seed.with_name(f"{case.seed.stem}_1.ser").read_bytes())
    tell("read")
    kind, sentence = judge(path)
    path.unlink()
    series.unlink(missing_ok=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Read(case.seed.name, case.folder, "done", sentence, kind=kind, peak=peak)
