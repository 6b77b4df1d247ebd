"""Images that arrive."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from stemdisp.batch.watch import arriving
from stemdisp.io.search import Search


def test_a_file_counts_once_it_rests(tmp_path: Path) -> None:
    stop = threading.Event()
    found = arriving([tmp_path], Search(), settle_s=2.0, stop=stop, poll_s=0.01)
    (tmp_path / "there.tif").write_bytes(b"1")
    growing = tmp_path / "growing.tif"

    def write() -> None:
        for _ in range(20):
            with growing.open("ab") as file:
                file.write(b"x")
            time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    got: list[tuple[str, int]] = []
    until = time.monotonic() + 60
    while len(got) < 2 and time.monotonic() < until:
        one = next(found)
        if one is not None:
            got.append((one.label, one.paths[0].stat().st_size))
    writer.join()
    assert got == [("there", 1), ("growing", 20)]
    growing.write_bytes(b"another")
    again = next(one for one in found if one is not None)
    assert again.label == "growing"
    stop.set()
    assert set(found) <= {None}


def test_a_pair_that_arrives_together_is_one(tmp_path: Path) -> None:
    stop = threading.Event()
    found = arriving([tmp_path], Search(), settle_s=0.2, stop=stop, poll_s=0.01)
    assert next(found) is None
    (tmp_path / "a_HAADF.tif").write_bytes(b"1")
    assert next(found) is None
    (tmp_path / "a_ABF.tif").write_bytes(b"1")
    first = next(one for one in found if one is not None)
    assert first.label == "a" and len(first.paths) == 2
    stop.set()
