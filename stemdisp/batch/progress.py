"""Progress on the error stream: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from ..io.text import one_line
from .run import Outcome, Watcher

STAGES_SHOWN = 13
"""Stages of an analysis from reading to writing, for the length of the bar; more only make it stay full."""


class PlainProgress(Watcher):
    """One line an image, with the stages as they begin; no escape codes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.started = 0.0
        self.open = False

    def close(self) -> None:
        """End a line that an interruption left open."""
        if self.open:
            self._write("\n")
            self.open = False

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()

    def begin(self, number: int, of: int, name: str, why: str) -> None:
        """Number and name of the image, and why it is analysed."""
        self.started = time.perf_counter()
        self.open = True
        self._write(f"[{number}/{of}] {one_line(name)} ({why}):")

    def stage(self, name: str) -> None:
        """One more word on the line."""
        self._write(f" {name}")

    def end(self, outcome: Outcome) -> None:
        """How it ended, and after how many seconds; nothing for what was skipped."""
        if outcome.status != "skipped":
            word = "failed" if outcome.status == "failed" else "done"
            self._write(f"; {word} in {time.perf_counter() - self.started:.1f} s")
            self.close()


class BarProgress(Watcher):
    """A bar that counts the stages of one image after the other; gone when it is done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.escape = escape
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[stage]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,  # results belong to stdout even where only the error stream is a terminal
        )
        self.task = self.progress.add_task("", total=STAGES_SHOWN, stage="", visible=False)

    def __enter__(self) -> BarProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begin(self, number: int, of: int, name: str, why: str) -> None:
        """An empty bar with the image's name."""
        title = self.escape(f"[{number}/{of}] {one_line(name, 40)}")
        self.progress.reset(self.task, description=title, total=STAGES_SHOWN, visible=True, stage=why)
        self.progress.start()

    def stage(self, name: str) -> None:
        """One step further."""
        self.progress.update(self.task, advance=1, stage=name)

    def end(self, outcome: Outcome) -> None:
        """Take the bar away: nothing of it may stand where the result is printed."""
        self.progress.stop()


@contextmanager
def watching() -> Iterator[Watcher]:
    """The progress that suits the error stream: a bar on a terminal that can show one, else plain lines."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with BarProgress() as bar:
            yield bar
    else:
        plain = PlainProgress()
        try:
            yield plain
        finally:
            plain.close()
