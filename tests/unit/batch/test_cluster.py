"""Workers of a Dask cluster: the same tables as local ones, and none lost with a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import batches
import pytest

pytest.importorskip("distributed", reason="Dask's distributed is not installed")
pytestmark = pytest.mark.slow

TABLES = ("columns.csv", "cells.csv", "layers.csv", "recipe.toml")
ENV = {**os.environ, **batches.ONE_THREAD, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "60s"}


def run(source: Path, out: Path, *options: object) -> subprocess.CompletedProcess[str]:
    words = batches.command("run", source, *batches.KTO, "-o", out, *options)
    return subprocess.run(words, env=ENV, capture_output=True, text=True, check=False)


def tables(out: Path) -> dict[str, bytes]:
    """Tables of all results; what a killed worker was writing is hidden, and is none."""
    found = (path for name in TABLES for path in out.glob(f"[!.]*/{name}"))
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch") / "in"
    batches.small_images(folder, 4)
    return folder


@pytest.fixture(scope="module")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("local") / "out"
    done = run(source, out, "-j", 2)
    assert done.returncode == 0, done.stderr
    return tables(out)


def begin(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *map(str, words)], env=ENV, stderr=subprocess.DEVNULL)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Path, list[subprocess.Popen[bytes]]]]:
    """A scheduler as one starts it by hand, and two workers on this machine."""
    address = tmp_path / "scheduler.json"
    quiet = ("--no-dashboard", "--host", "127.0.0.1")
    scheduler = begin("distributed.cli.dask_scheduler", "--port", 0, "--scheduler-file", address, *quiet)
    until = time.monotonic() + 60
    while not address.exists() and time.monotonic() < until:
        time.sleep(0.1)
    words = ("distributed.cli.dask_worker", "--scheduler-file", address, "--nthreads", 1, "--no-nanny", *quiet)
    workers = [begin(*words) for _ in range(2)]
    try:
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


def test_a_local_cluster_gives_the_same_tables(source: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    done = run(source, tmp_path / "out", "--scheduler", "local", "-j", 2)
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "out") == expected and "Traceback" not in done.stderr


def test_an_external_one_loses_nothing_with_a_worker(
    source: Path, expected: dict[str, bytes], tmp_path: Path, cluster: tuple[Path, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    out, log = tmp_path / "out", tmp_path / "out" / ".stemdisp" / "log.jsonl"
    process = subprocess.Popen(
        batches.command("run", source, *batches.KTO, "-o", out, "--scheduler", address),
        env=ENV,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    until = time.monotonic() + 120
    while not (log.exists() and '"begin"' in log.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.0)  # in the middle of an image
    workers[0].send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert tables(out) == expected


def test_no_scheduler_is_a_sentence(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stemdisp.batch import cluster as clusters
    from stemdisp.errors import DeviceError

    monkeypatch.setattr(clusters, "SECONDS_TO_ANSWER", 1)
    with pytest.raises(DeviceError, match="no Dask scheduler answers at tcp://127.0.0.1:1 "):
        clusters.Cluster("tcp://127.0.0.1:1")
