"""Progress on the error stream: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from ..io.text import one_line
from .job import Job, Outcome
from .run import Watcher

EVERY_S = 30.0
"""Seconds between two plain lines on what runs."""

MOST_NAMED = 4
"""Running images that one line names."""


class _Pace:
    """How many images were analysed, and how fast; those that needed nothing do not count."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.worked = self.failed = 0

    def count(self, outcome: Outcome) -> None:
        """One more."""
        self.worked += outcome.status in ("done", "failed")
        self.failed += outcome.status in ("failed", "stands")

    def sentence(self, left: int) -> str:
        """Images a minute, and how long the rest takes at that pace; empty before the first."""
        seconds = time.monotonic() - self.started
        if not self.worked:
            return ""
        rest = left * seconds / self.worked
        shown = f"{rest / 3600:.1f} h" if rest > 5400 else f"{rest / 60:.0f} min" if rest > 90 else f"{rest:.0f} s"
        return f"{60 * self.worked / seconds:.1f} images a minute, about {shown} left"


class PlainProgress(Watcher):
    """A line when an image ends, and one now and then on what runs; no escape codes."""

    def __init__(self, stream: TextIO | None = None, every: float = EVERY_S) -> None:
        self.stream, self.every = stream or sys.stderr, every
        self.pace, self.said = _Pace(), time.monotonic()
        self.titles: dict[str, str] = {}

    def _write(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()

    def begin(self, number: int, of: int, job: Job) -> None:
        """Keep number, name and why for the end."""
        count = f"{number}/{of}" if of else number
        self.titles[job.name] = f"[{count}] {one_line(job.name)} ({job.why})"

    def beat(self, running: Sequence[tuple[Job, str]], left: int) -> None:
        """Say what runs, if nothing was said for long."""
        if time.monotonic() - self.said < self.every:
            return
        named = ", ".join(f"{one_line(job.name, 40)} ({stage})" for job, stage in running[:MOST_NAMED])
        more = f" and {len(running) - MOST_NAMED} more" if len(running) > MOST_NAMED else ""
        failed = f", {self.pace.failed} failed" if self.pace.failed else ""
        parts = (f"{left} left{failed}", self.pace.sentence(left), f"now {named}{more}" if named else "")
        self._write("; ".join(part for part in parts if part))
        self.said = time.monotonic()

    def end(self, outcome: Outcome) -> None:
        """How an image ended, and after how many seconds; nothing for what was skipped."""
        self.pace.count(outcome)
        title = self.titles.pop(outcome.name, None)
        if title is not None:
            self._write(f"{title}: {outcome.status} in {outcome.seconds:.1f} s")
            self.said = time.monotonic()


class BarProgress(Watcher):
    """A bar over all images, and a line for each that runs; gone when everything is done."""

    def __init__(self) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.pace = _Pace()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        self.task = self.bar.add_task("images", total=None, pace="")
        self.group = Group
        # Results belong to stdout even where only the error stream is a terminal.
        console = Console(stderr=True)
        self.live = Live(self.bar, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)

    def __enter__(self) -> BarProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def begin(self, number: int, of: int, job: Job) -> None:
        """Show the bar, if it is not there."""
        self.bar.update(self.task, total=of or None, completed=max(number - 1, 0))
        self.live.start()

    def beat(self, running: Sequence[tuple[Job, str]], left: int) -> None:
        """Move the bar, and say what runs."""
        from rich.text import Text

        total = self.bar.tasks[0].total or left
        failed = f"{self.pace.failed} failed; " if self.pace.failed else ""
        self.bar.update(self.task, completed=total - left, pace=failed + self.pace.sentence(left))
        lines = [Text(f"  {one_line(job.name, 60)}: {stage}") for job, stage in running[:MOST_NAMED]]
        self.live.update(self.group(self.bar, *lines))

    def end(self, outcome: Outcome) -> None:
        """Take the bar away for a moment: nothing of it may stand where the result is printed."""
        self.pace.count(outcome)
        self.live.stop()


@contextmanager
def watching() -> Iterator[Watcher]:
    """The progress that suits the error stream: bars on a terminal that can show them, else plain lines."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with BarProgress() as bar:
            yield bar
    else:
        yield PlainProgress()
