"""The results of a batch as pages: one is open at a time, and what was changed on others and not saved is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from stemdisp.batch.catalogue import Entry
from stemdisp.io.text import one_line

from .session import Draft

MARKS = {"done": "✓", "failed": "✗", "damaged": "?"}
"""How a page ended -> its mark."""

CHANGED = "✎"
"""Mark of a page with changes that are not saved."""

LONGEST = 60
"""Characters of a label in the list."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The output folder of a batch and what was in it when it was opened; ``drafts`` are the pages that were left with
    changes."""

    folder: Path
    entries: tuple[Entry, ...]
    drafts: dict[int, Draft] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the folder is called."""
        return one_line(self.folder.resolve().name)


class Pages:
    """The pages of a batch; ``at`` is the one that is open."""

    def __init__(self, batch: Batch, at: int) -> None:
        self.batch, self.at = batch, at

    def __len__(self) -> int:
        return len(self.batch.entries)

    def title(self, number: int, *, changed: bool = False) -> str:
        """A page in the list: mark, label, how it ended where that is not well, and whether changes are not saved."""
        entry = self.batch.entries[number]
        ended = f" – {entry.sentence if entry.status == 'done' else entry.status}" if entry.sentence else ""
        mark = f" {CHANGED} not saved" if changed or number in self.batch.drafts else ""
        return f"{MARKS[entry.status]} {one_line(entry.label, LONGEST)}{ended}{mark}"

    def sentence(self, number: int) -> str:
        """What there is to say of a page: why there is nothing on it, or how many warnings there are."""
        entry = self.batch.entries[number]
        return f"{one_line(entry.label)}: {entry.sentence or entry.status}"
