"""Stages in a thread of their own: progress after each, and an end when it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QObject, Signal

from stemdisp import Analysis
from stemdisp.pulse import Stopped, listening

Work = Iterator[tuple[str, Analysis]]


class Runner(QObject):
    """Runs one piece of work at a time.

    ``reached`` is sent with (stage, analysis) after each stage, ``ended`` with the last analysis, or None where it was
    stopped or failed; ``failed`` with the error, before that.
    """

    reached = Signal(str, object)
    failed = Signal(object)
    ended = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._worker: GeneratorWorker | None = None
        self._stop = threading.Event()
        self._last: Analysis | None = None

    @property
    def busy(self) -> bool:
        """Whether something runs."""
        return self._worker is not None

    def start(self, work: Work) -> None:
        """Run ``work``; what ran before must have ended."""
        assert not self.busy
        stop = self._stop = threading.Event()
        self._last = None
        # Methods, so that Qt forgets them with this object where the window is closed while something runs.
        self._worker = create_worker(_stages, work, stop, _connect={"yielded": self._reached, "finished": self._ended})
        self.destroyed.connect(stop.set)

    def cancel(self) -> None:
        """Have it end within the time between two beats of the core; its results are dropped."""
        self._stop.set()
        if self._worker is not None:
            self._worker.quit()

    def _reached(self, result: tuple[str, Analysis | Exception]) -> None:
        if self._stop.is_set():
            return
        stage, found = result
        if isinstance(found, Exception):
            self._last = None
            self.failed.emit(found)
        else:
            self._last = found
            self.reached.emit(stage, found)

    def _ended(self) -> None:
        self._worker = None
        self.ended.emit(None if self._stop.is_set() else self._last)


def _stages(work: Work, stop: threading.Event) -> Iterator[tuple[str, Analysis | Exception]]:
    """The work, left at the first beat after a stop; an error is the last that comes of it.

    Errors are not raised: napari drops those that derive from RuntimeError, as StageError does.
    """

    def beat() -> None:
        if stop.is_set():
            raise Stopped

    try:
        with listening(beat):
            yield from work
    except Stopped:
        return
    except Exception as error:
        yield "", error
