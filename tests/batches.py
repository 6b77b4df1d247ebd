"""Batches of small images run as programs, killed, and compared: for tests and for the long trials."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import stemdisp
from stemdisp.io.provenance import sha256
from stemdisp.io.simulated import save_simulated
from stemdisp.scene import Dose, Look, Scene, View

ROOT = Path(stemdisp.__file__).parents[1]
KTO = ("--material", "KTaO3", "--zone", "001", "--no-figures")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
ORPHANS_S = 3.0
"""Seconds after which nothing of a killed run may be alive."""


def small_images(folder: Path, count: int) -> list[Path]:
    """Images of 80 columns, each different, with file names that say their number."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for seed in range(count):
        scene = Scene(
            zone=(0, 0, 1),
            signals=("HAADF",),
            view=View(pixel_size_pm=(14.0, 14.0), shape=(128, 128)),
            look=Look(tail=0.1),
            dose=Dose(peak_counts=500.0, dtype="uint16"),
            seed=seed,
        )
        image, truth = stemdisp.simulate(scene)
        save_simulated(image, truth, folder / f"image{seed:04d}")
        (folder / f"image{seed:04d}_truth.csv").unlink()
        made.append(next(folder.glob(f"image{seed:04d}*")))
    return made


def command(*arguments: object) -> list[str]:
    """A call of the program."""
    return [sys.executable, "-m", "stemdisp.cli", *map(str, arguments)]


def start(source: Path, out: Path, *options: object) -> subprocess.Popen[bytes]:
    """Begin a run in a session of its own, so that its processes can be told from all others."""
    return subprocess.Popen(
        command("run", source, *KTO, "-o", out, *options),
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def members(session: int) -> list[int]:
    """Living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


def forked_from(session: int) -> list[int]:
    """The process that workers are forked from, once it is there."""
    found = []
    for pid in members(session):
        with suppress(OSError):
            if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes() and pid not in workers(session):
                found.append(pid)
    return found


def workers(session: int) -> list[int]:
    """Processes that analyse images: children of the one that they are forked from."""
    found, parents = members(session), {}
    for pid in found:
        try:
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue
    return [pid for pid, parent in parents.items() if parent != session and parent in parents]


def committed(out: Path) -> dict[str, int]:
    """Results that are complete, and the inode of their record: another one was written anew."""
    found = {}
    for path in out.glob("[!.]*/result.json"):
        with suppress(FileNotFoundError):  # it is just being exchanged
            found[path.parent.name] = path.stat().st_ino
    return found


@dataclass
class Trial:
    """What was seen while a batch was killed again and again."""

    kills: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    repeated: int = 0
    torn: int = 0
    runs: int = 0


def _torn(out: Path) -> int:
    """Results with a file that is not as its record says."""
    bad = 0
    for record in out.glob("[!.]*/result.json"):
        outputs = json.loads(record.read_text())["outputs"]
        bad += any(sha256(record.parent / name) != digest for name, digest in outputs.items())
    return bad


def killed(source: Path, out: Path, kills: int, seed: int, options: Sequence[object] = ("-j", 2)) -> Trial:
    """Run a batch to its end in spite of ``kills`` kills at random times, of parent, worker and group in turn."""
    rng, trial = random.Random(seed), Trial()
    process = start(source, out, *options)
    trial.runs = 1
    done: dict[str, int] = {}
    while sum(trial.kills.values()) < kills:
        target = ("parent", "worker", "group")[sum(trial.kills.values()) % 3]
        until = time.monotonic() + rng.uniform(0.1, 5.0)
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        if process.poll() is not None:  # everything was done before the kill: take a few results away and go on
            for name in rng.sample(sorted(committed(out)), k=min(8, len(committed(out)))):
                (out / name / "result.json").unlink()
                done.pop(name, None)
        elif target == "worker":
            found = workers(process.pid)
            if found:
                os.kill(rng.choice(found), signal.SIGKILL)
                trial.kills[target] += 1
            continue
        else:
            (os.kill if target == "parent" else os.killpg)(process.pid, signal.SIGKILL)
            trial.kills[target] += 1
            process.wait()
            trial.orphans += bool(survivors(process.pid))
        trial.torn += _torn(out)
        now = committed(out)
        trial.repeated += sum(now.get(name, inode) != inode for name, inode in done.items())
        done = now
        process = start(source, out, *options)
        trial.runs += 1
    process.wait()
    while start(source, out, *options).wait() != 0 and trial.runs < 3 * kills + 10:
        trial.runs += 1
    now = committed(out)
    trial.repeated += sum(now.get(name, inode) != inode for name, inode in done.items())
    return trial


def survivors(session: int) -> list[int]:
    """What still lives of a run that ended, a moment later."""
    until = time.monotonic() + ORPHANS_S
    while (found := members(session)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


TIMED = {"started", "ended", "seconds", "outputs"}


def _timeless(path: Path) -> object:
    """Content of an output without times."""
    if path.suffix == ".json":
        return {name: value for name, value in json.loads(path.read_text()).items() if name not in TIMED}
    if path.suffix == ".html":
        return re.sub(r"<dt>(Started|Written|CPU seconds)</dt><dd>[^<]*</dd>", "", path.read_text())
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name].tobytes() for name in arrays.files if name != "document"}
    return path.read_bytes()


def tree(out: Path) -> dict[str, object]:
    """Every file below an output folder but the batch's own, without times."""
    files = (path for path in out.rglob("*") if path.is_file() and ".stemdisp" not in path.relative_to(out).parts)
    return {path.relative_to(out).as_posix(): _timeless(path) for path in files if path.name != "index.html"}
