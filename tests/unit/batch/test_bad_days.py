"""Bad days: full disks, read-only folders, lost permissions, inputs that change, two runs at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import batches
import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="mounts and processes as Linux has them"),
    pytest.mark.slow,
]


def called(*arguments: object, before: str = "", **more) -> subprocess.CompletedProcess[str]:
    """Call the program; ``before`` is a shell command that runs first, in a name space where mounts are ours alone."""
    words = batches.command(*arguments)
    if before:
        words = ["unshare", "--mount", "--map-root-user", "sh", "-c", f'{before}; exec "$@"', "sh", *words]
    return subprocess.run(
        words, env={**os.environ, **batches.ONE_THREAD}, capture_output=True, text=True, check=False, **more
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch") / "in"
    batches.small_images(folder, 3)
    return folder


@pytest.fixture(scope="module")
def mounting() -> None:
    """Mounts that nobody else sees."""
    words = ["unshare", "--mount", "--map-root-user", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
    if shutil.which("unshare") is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this system lets us mount nothing")


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in done.stderr, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


@pytest.mark.usefixtures("mounting")
def test_a_full_disk_is_said_and_resumed(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    # Room for about one result and a half; then the disk grows, and what is missing is done.
    arguments = ("run", source, *batches.KTO, "-o", out, "-j", 1)
    words = " ".join(f"'{word}'" for word in batches.command(*arguments))
    steps = (
        f"mount -t tmpfs -o size=300k tmpfs {out}",
        f"{words} >&2",
        "echo first $? >&2",
        f"find {out} -name '.*.tmp-*' >&2",
        f"mount -o remount,size=100m {out}",
    )
    done = called(*arguments, before="; ".join(steps))
    assert done.returncode == 0, done.stderr
    first, _, then = done.stderr.partition("first ")
    assert then.startswith("1\n") and "No space left on device" in first
    assert "Traceback" not in done.stderr and ".tmp-" not in then
    assert done.stdout.count("columns,") + done.stdout.count("already done") == 3


@pytest.mark.usefixtures("mounting")
def test_a_read_only_output_is_a_sentence(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = called("run", source, *batches.KTO, "-o", out, before=f"mount -t tmpfs -o ro tmpfs {out}")
    assert done.returncode == 1
    assert errors(done) == [f"error: {out} cannot be written: Read-only file system"]


def test_lost_permission_is_one_images_matter(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(source, folder)
    locked, *others = sorted(folder.iterdir())
    locked.chmod(0)
    words = batches.command("run", folder, *batches.KTO, "-o", tmp_path / "out", "-j", 2)
    if os.geteuid() == 0:  # the superuser may read everything, unless that right is taken away
        if shutil.which("setpriv") is None:
            pytest.skip("the superuser may read everything")
        words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    env = {**os.environ, **batches.ONE_THREAD}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Permission denied" in errors(done)[0], done.stderr
    assert len(batches.committed(tmp_path / "out")) == len(others)
    locked.chmod(0o644)
    again = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr  # it did not stand: another try ended otherwise


def test_an_input_that_grows_fails_until_it_rests(source: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(source, folder)
    growing = sorted(folder.iterdir())[0]
    writer = subprocess.Popen(
        [sys.executable, "-c", f"while True:\n    with open({str(growing)!r}, 'ab') as f: f.write(b'x')"]
    )
    try:
        done = called("run", folder, *batches.KTO, "-o", out, "-j", 1)
    finally:
        writer.kill()
        writer.wait()
    assert done.returncode == 1
    assert "changed while it was read; wait until it is complete" in errors(done)[0]
    again = called("run", folder, *batches.KTO, "-o", out, "-j", 1)
    assert again.returncode == 0 and again.stdout.count("already done") == 2


def test_a_replaced_input_is_done_again(source: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(source, folder)
    first, second, _ = sorted(folder.iterdir())
    assert called("run", folder, *batches.KTO, "-o", out).returncode == 0
    times = first.stat()
    shutil.copyfile(second, first)
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))  # a clock that was set back, or a tool that keeps times
    dry = called("run", folder, *batches.KTO, "-o", out, "--dry-run")
    assert f"{first.stem}: would be analysed (input changed)" in dry.stdout
    again = called("run", folder, *batches.KTO, "-o", out)
    assert again.returncode == 0 and again.stdout.count("already done") == 2


def test_a_second_run_on_one_output_ends_with_4(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = batches.start(source, out, "-j", 1)
    try:
        until = time.monotonic() + 60
        while not (out / ".stemdisp.lock").exists() and time.monotonic() < until:
            time.sleep(0.02)
        second = called("run", source, *batches.KTO, "-o", out)
        assert second.returncode == 4 and "used by another run" in second.stderr
    finally:
        assert first.wait(timeout=120) == 0


@pytest.mark.parametrize("signals", [1, 2])
def test_interrupts(source: Path, tmp_path: Path, signals: int) -> None:
    out = tmp_path / "out"
    process = batches.start(source, out, "-j", 1)
    until = time.monotonic() + 60
    while not workers_at_work(out) and time.monotonic() < until:
        time.sleep(0.02)
    for _ in range(signals):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        time.sleep(0.3)
    assert process.wait(timeout=120) == 130
    assert batches.survivors(process.pid) == []
    if signals == 1:
        assert len(batches.committed(out)) == 1
    assert called("run", source, *batches.KTO, "-o", out).returncode == 0
    assert len(batches.committed(out)) == 3


@pytest.mark.parametrize("at_work", [False, True], ids=["while it starts", "while its workers work"])
def test_the_process_that_workers_are_forked_from_is_killed(source: Path, tmp_path: Path, at_work: bool) -> None:
    out = tmp_path / "out"
    process = batches.start(source, out, "-j", 2)
    until = time.monotonic() + 60
    while not (found := batches.forked_from(process.pid)) and time.monotonic() < until:
        time.sleep(0.02)
    while at_work and len(batches.workers(process.pid)) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(found[0], signal.SIGKILL)
    assert process.wait(timeout=120) == 0
    assert len(batches.committed(out)) == 3


def workers_at_work(out: Path) -> bool:
    log = out / ".stemdisp" / "log.jsonl"
    return log.exists() and "begin" in [json.loads(line)["event"] for line in log.read_text().splitlines()]


def test_nothing_beside_the_images_is_imported(tmp_path: Path) -> None:
    """A worker that looked for modules in the present folder would run what lies there."""
    batches.small_images(tmp_path / "images", 1)
    for name in ("jinja2", "stemdisp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('imported from beside the images')")
    program = tmp_path / "bin" / "program.py"  # as the one that is installed: its own folder is not the present one
    program.parent.mkdir()
    program.write_text("from stemdisp.cli import main\n\nif __name__ == '__main__':\n    main()\n")
    done = subprocess.run(
        [sys.executable, program, "run", "images", "-o", "results", *batches.KTO],
        cwd=tmp_path,
        env={**os.environ, **batches.ONE_THREAD},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "image0000_HAADF: " in done.stdout
