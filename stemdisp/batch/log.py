"""The log of a batch: one JSON object a line, written as things happen."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from .job import Job, Outcome

FILE = "log.jsonl"


def event(kind: str, **more: Any) -> dict[str, Any]:
    """What happened, and when (UTC)."""
    return {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": kind, **more}


def of_begin(job: Job) -> dict[str, Any]:
    """That a job begins: its image, files, folder, and why."""
    paths = [str(path) for path in job.image.paths]
    return event("begin", image=job.name, inputs=paths, folder=str(job.folder), why=job.why)


def of_end(outcome: Outcome) -> dict[str, Any]:
    """How a job ended."""
    known = {"stage": outcome.stage, "class": outcome.kind} if outcome.kind else {}
    return event(
        "end",
        image=outcome.name,
        status=outcome.status,
        seconds=round(outcome.seconds, 3),
        sentence=outcome.sentence,
        **known,
    )


class Log:
    """Appends events to a file, and to a stream if there is one; a full disk does not stop what it tells of."""

    def __init__(self, folder: Path, stream: TextIO | None = None) -> None:
        self.path, self.stream = folder / FILE, stream

    def write(self, what: dict[str, Any]) -> None:
        """One line; what no text can hold in a name is escaped."""
        line = json.dumps(what, ensure_ascii=True) + "\n"
        if self.stream is not None:
            self.stream.write(line)
            self.stream.flush()
        with suppress(OSError), self.path.open("a", encoding="ascii") as file:
            file.write(line)
