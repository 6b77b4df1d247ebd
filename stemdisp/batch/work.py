"""What a worker does with one job: read, analyse, write; a failure leaves its record, and never an exception."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from ..errors import StemdispError
from ..io.provenance import fingerprint, key
from ..io.store import RECORD, record_of, save_failure
from ..io.text import one_line
from ..model.analysis import Analysis
from .hashes import Known, Stamp, stamp
from .job import Job, Outcome
from .result import describe, write_result

log = logging.getLogger(__name__)

Tell = Callable[[str], None]
"""Is told the name of the stage that begins."""

WRITE = "write"
"""The stage that comes after all others; what fails in it is the fault of the disk, not of the image."""


class ProcessDiedError(StemdispError):
    """The process that analysed an image ended without a word."""


class TimeLimitError(StemdispError):
    """An image was given up because a limit of time was over."""


def _analyse(job: Job, tell: Tell) -> Analysis:
    """Read and analyse one image set."""
    from ..io.read import read
    from ..pipeline import STAGES, require_pixel_size, steps

    image = job.recipe.image
    micrograph = read(
        *job.image.paths, pixel_size=image.pixel_size, name=job.image.name, frames=image.taken, titles=image.titles
    )
    require_pixel_size(micrograph, job.recipe)
    names = tuple(STAGES)
    tell(names[0])
    following = dict(pairwise(names))
    analysis: Analysis | None = None
    for stage, known in steps(micrograph, job.recipe, device=job.options.device):
        analysis = known
        if stage in following:
            tell(following[stage])
    assert analysis is not None
    return analysis


def sentence_of(error: BaseException) -> str:
    """One line that says what went wrong; unexpected errors say so and name their class."""
    text = one_line(error, 600)
    if isinstance(error, (StemdispError, FileExistsError)):
        return text
    if isinstance(error, MemoryError):
        return "the memory does not suffice; allow more (--max-memory), or give a smaller part of the image"
    return f"unexpected {type(error).__name__}: {text}; --debug shows where"


def _stamps(paths: Sequence[Path]) -> list[Stamp | None]:
    return [stamp(path) for path in paths]


def _hashed(job: Job, before: list[Stamp | None], analysis: Analysis) -> tuple[Known, ...]:
    """Inputs as they were before reading, and the outputs."""
    inputs = zip(job.image.paths, before, analysis.micrograph.inputs, strict=True)
    known = [Known(path, then, one.sha256) for path, then, one in inputs if then is not None]
    outputs = ((job.folder / name, digest) for name, digest in record_of(job.folder)["outputs"].items())
    return (*known, *(Known(path, now, digest) for path, digest in outputs if (now := stamp(path)) is not None))


def fail(
    job: Job, error: BaseException, stage: str, *, seconds: float = 0.0, before: Sequence[Stamp | None] = ()
) -> Outcome:
    """Leave ``failure.json`` in the folder of a job, and say how it ended.

    Where the disk is at fault an older result stays.  ``before`` are the stamps of the inputs when it began.
    """
    if stage != WRITE or not (job.folder / RECORD).is_file():
        try:
            save_failure(job.folder, error, stage, key=_standing(job, error, stage, before))
        except (OSError, StemdispError) as second:
            log.debug("no failure.json in %s: %s", one_line(job.folder), one_line(second))
    said = f"{stage}: {sentence_of(error)}"
    return Outcome(job.name, job.folder, "failed", said, stage=stage, kind=type(error).__name__, seconds=seconds)


def _standing(job: Job, error: BaseException, stage: str, before: Sequence[Stamp | None]) -> str | None:
    """The key of a job whose image is at fault: its failure stands until something of it changes.  None where another
    try may end otherwise: for the disk's and the system's errors, where more memory may be allowed, and for an input
    that changed meanwhile."""
    systems = getattr(error.__cause__, "errno", None) is not None
    memory = isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError)
    if stage == WRITE or systems or memory or isinstance(error, ProcessDiedError):
        return None
    with suppress(OSError):
        if not before or list(before) == _stamps(job.image.paths):
            return key(job.recipe, [fingerprint(path)[1] for path in job.image.paths])
    return None


def work(job: Job, tell: Tell) -> Outcome:
    """Analyse one image set and write its folder.

    Parameters
    ----------
    job
        What to analyse.
    tell
        Called with the name of each stage as it begins.

    Returns
    -------
    How it ended. Every Exception becomes a failed outcome with ``failure.json`` in the folder (when debugging, one that
    nobody expected goes on from there); what is none, such as KeyboardInterrupt, leaves nothing.
    """
    began, started, at = time.monotonic(), datetime.now(UTC), "read"
    before: list[Stamp | None] = []

    def begin(stage: str) -> None:
        nonlocal at
        at = stage
        tell(stage)

    try:
        begin(at)
        before = _stamps(job.image.paths)
        analysis = _analyse(job, begin)
        begin(WRITE)
        options = job.options
        write_result(
            analysis, job.folder, overwrite=True, table=options.table, figures=options.figures, started=started
        )
        hashed = _hashed(job, before, analysis)
    except Exception as error:
        outcome = fail(job, error, at, seconds=time.monotonic() - began, before=before)
        if job.options.debug and not isinstance(error, (StemdispError, FileExistsError)):
            raise
        return outcome
    seconds, warnings = time.monotonic() - began, len(analysis.warnings)
    return Outcome(job.name, job.folder, "done", describe(analysis), seconds=seconds, warnings=warnings, hashed=hashed)
