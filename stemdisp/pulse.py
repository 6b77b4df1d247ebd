"""A beat from inside long loops: whoever waits for them may count it, or end the work by raising :class:`Stopped`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

EVERY = 0.1
"""Seconds from beat to beat while something goes on that does not beat itself."""

_LISTENER: ContextVar[Callable[[], object] | None] = ContextVar("listener", default=None)


class Stopped(BaseException):
    """Raised by a listener to end the work it listens to.

    It is nobody's error: like GeneratorExit it derives from BaseException, so that nothing on its way that turns errors
    into sentences, or goes on in spite of them, takes it for one.
    """


def beat() -> None:
    """Tell the listener, if there is one, that the work goes on."""
    listener = _LISTENER.get()
    if listener is not None:
        listener()


def beating(work: Callable[[], T]) -> T:
    """The result of ``work`` that cannot beat itself, as a long call of the compiled kernel, with beats all the while.

    Where somebody listens it is done in a thread of its own. If they end it that goes on for a while, and what it still
    writes nobody reads.

    >>> beating(lambda: 42)
    42
    """
    if _LISTENER.get() is None:
        return work()
    pool = ThreadPoolExecutor(1)
    try:
        done = pool.submit(work)
        while not done.done():
            wait([done], timeout=EVERY)
            beat()
        return done.result()
    finally:
        pool.shutdown(wait=False)


@contextmanager
def listening(callback: Callable[[], object]) -> Iterator[None]:
    """Call ``callback`` at every beat of this thread inside the block.

    What it raises leaves the block, and the work with it: :class:`Stopped` is meant for that.  An inner block takes the
    place of an outer one until it ends.

    >>> with listening(lambda: print("beat")):
    ...     beat()
    beat
    >>> beat()
    """
    token = _LISTENER.set(callback)
    try:
        yield
    finally:
        _LISTENER.reset(token)
