"""What is to be done with one image set, and how that ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..backend import Choice
from ..io.pairs import ImageSet
from ..recipe import Recipe
from .hashes import Known

Status = Literal["done", "skipped", "failed", "stands"]
"""``skipped``: its result stands; ``stands``: it failed before, and nothing of it has changed since."""


@dataclass(frozen=True)
class Options:
    """What cannot change the numbers: where they are computed and what is written.

    ``debug`` lets unexpected errors through with their traceback.
    """

    device: Choice = "auto"
    table: Literal["csv", "parquet"] = "csv"
    figures: bool = True
    debug: bool = False


@dataclass(frozen=True)
class Job:
    """An image set, its result folder, and why it is analysed; empty where that need not be."""

    image: ImageSet
    folder: Path
    recipe: Recipe
    options: Options
    why: str = ""

    @property
    def name(self) -> str:
        """What the image is called in lists and messages."""
        return self.image.label


@dataclass(frozen=True)
class Outcome:
    """How one job ended: one sentence of result or reason, and the files that were hashed on the way.

    ``stage`` is where a failure happened, ``kind`` its class; ``seconds`` of wall time it took.
    """

    name: str
    folder: Path
    status: Status
    sentence: str
    stage: str = ""
    kind: str = ""
    seconds: float = 0.0
    warnings: int = 0
    hashed: tuple[Known, ...] = ()


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 where everything is done, 1 where some failed now or before, 3 where there was nothing."""
    if not outcomes:
        return 3
    return 1 if any(outcome.status in ("failed", "stands") for outcome in outcomes) else 0
