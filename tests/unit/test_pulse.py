"""Beats: heard inside the block alone, by one thread alone, and able to end the work."""

from __future__ import annotations

import threading
import time

import pytest

from stemdisp.pulse import EVERY, Stopped, beat, beating, listening


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


def test_long_work_is_heard_and_left_at_a_beat() -> None:
    heard: list[int] = []
    with listening(lambda: heard.append(1)):
        assert beating(lambda: time.sleep(3 * EVERY) or "done") == "done"
        with pytest.raises(ZeroDivisionError):
            beating(lambda: 1 / 0)
    assert len(heard) > 1
    ended = threading.Event()

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped), listening(stop):
        beating(lambda: ended.wait(60))
    assert not ended.is_set()
    ended.set()
