"""Tables as Markdown on the output, and what goes on as text beside it."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table under a heading, with a note below it; all cells are text."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""

    def __str__(self) -> str:
        lines = [f"### {self.title}", "", f"| {' | '.join(self.head)} |", f"|{' --- |' * len(self.head)}"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join([*lines, "", self.note, ""] if self.note else [*lines, ""])


def say(text: str) -> None:
    """What goes on, for whoever watches; tables alone go to the output."""
    print(text, file=sys.stderr, flush=True)
