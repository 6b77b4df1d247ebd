"""Beats: heard inside the block alone, by one thread alone, and able to end the work."""

from __future__ import annotations

import threading

import pytest

from stemdisp.pulse import Stopped, beat, listening


def test_only_the_innermost_listener_hears() -> None:
    heard: list[str] = []
    beat()
    with listening(lambda: heard.append("outer")):
        beat()
        with listening(lambda: heard.append("inner")):
            beat()
        beat()
    beat()
    assert heard == ["outer", "inner", "outer"]


def test_other_threads_are_not_heard() -> None:
    heard: list[str] = []
    with listening(lambda: heard.append("here")):
        other = threading.Thread(target=beat)
        other.start()
        other.join()
    assert not heard


def test_what_a_listener_raises_ends_the_work_and_the_listening() -> None:
    def stop() -> None:
        raise Stopped

    def work() -> None:
        try:
            beat()
        except Exception:  # as in a loop that goes on after errors
            pytest.fail("taken for an error")

    with pytest.raises(Stopped), listening(stop):
        work()
    beat()
