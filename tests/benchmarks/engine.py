"""Print how many columns are fitted in a CPU second, by which engine, and by Atomap on the same columns:
``python tests/benchmarks/engine.py``.

Windows of 15 x 15 px, 10,000 columns with Poisson noise, starts up to 0.5 px off and widths 15 % off.  A rate is the
best of several runs: what else the machine does can only make it smaller.  Atomap runs in an environment of its own
where ``STEMDISP_PEERS_PYTHON`` names a Python that has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from markdown import Table, say

from stemdisp.backend import CPU, Device, choose
from stemdisp.errors import DeviceError
from stemdisp.fitting import launch
from stemdisp.fitting.engine import built
from stemdisp.fitting.window import ColumnFits, ColumnModel, Search, Starts, fit_columns, round_starts

SIDE, PER_ROW, SIGMA, COUNTS, LEVEL = 18, 100, 2.5, 500.0, 50.0
FOR_ATOMAP, FOR_ARRAYS = 20, 30
"""Columns along a side that the slow ones are given."""
PEERS = os.environ.get("STEMDISP_PEERS_PYTHON", sys.executable)

ATOMAP = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
import atomap.api as am
from importlib.metadata import version
with np.load(sys.argv[1], allow_pickle=False) as given:
    image, start = given["image"], given["start"]
sublattice = am.Sublattice(start.tolist(), image=image)
sublattice.find_nearest_neighbors()
before = time.process_time()
sublattice.refine_atom_positions_using_2d_gaussian(percent_to_nn=0.4, show_progressbar=False)
seconds = time.process_time() - before
print(json.dumps([seconds, version("atomap"), np.array(sublattice.atom_positions).tolist()]))
"""


@dataclass(frozen=True)
class Scene:
    """An image, where its columns are (n, 2), and where they are looked for."""

    image: np.ndarray
    xy: np.ndarray
    starts: Starts


def scene(per_row: int) -> Scene:
    """Columns on a square grid, each off it by up to half a pixel."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(per_row), np.arange(per_row)), axis=-1).reshape(-1, 2) * SIDE + SIDE // 2
    xy = grid + rng.uniform(-0.5, 0.5, grid.shape)
    line = np.arange(SIDE * per_row)
    own, other = (np.exp(-((line[None, :] - xy[:, k, None]) ** 2) / (2 * SIGMA**2)) for k in (0, 1))
    image = rng.poisson(LEVEL + COUNTS * other.T @ own).astype(float)
    return Scene(image, xy, round_starts(xy + rng.uniform(-0.5, 0.5, xy.shape), 0.85 * SIGMA, 3.0))


def best(run: Callable[[], ColumnFits], seconds: float = 2.0) -> tuple[float, float, ColumnFits]:
    """Least CPU and least wall seconds of a call, and what it gave."""
    cpu = wall = float("inf")
    end = time.perf_counter() + seconds
    while True:
        before = time.process_time(), time.perf_counter()
        found = run()
        cpu, wall = min(cpu, time.process_time() - before[0]), min(wall, time.perf_counter() - before[1])
        if time.perf_counter() > end:
            return cpu, wall, found


def rms(xy: np.ndarray, truth: np.ndarray) -> float:
    """Error per axis in px."""
    return float(np.sqrt(np.mean((xy - truth) ** 2)))


def atomap(given: Scene) -> tuple[float, str, float]:
    """Columns that Atomap fits in a CPU second, its version and its rms error in px."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.npz"
        np.savez(path, image=given.image, start=given.starts.xy)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [PEERS, "-c", ATOMAP, str(path)], capture_output=True, text=True, check=True, env=environment
        )
    seconds, version, xy = json.loads(done.stdout.strip().splitlines()[-1])
    return len(given.xy) / seconds, version, rms(np.array(xy), given.xy)


def peers() -> Table:
    """Rates of all engines and of Atomap on the columns of one kind of image."""
    say("Atomap")
    slow, version, error = atomap(scene(FOR_ATOMAP))
    rows = [(f"Atomap {version}", "double", f"{slow:,.0f}", "1", f"{error:.4f}", "")]
    whole, few = scene(PER_ROW), scene(FOR_ARRAYS)
    for device, dtype, level in engines():
        given = whole if device.compiled else few
        say(f"{device.name} {level} {dtype.__name__}")
        image = given.image.astype(dtype)
        with level_of(level):
            cpu, _, found = best(lambda g=given, i=image, d=device: fit_columns(i, g.starts, device=d))
        rate, name = len(given.xy) / cpu, "single" if dtype is np.float32 else "double"
        evaluations = f"{found.evaluations.mean():.2f}"
        rows.append(
            (found.engine, name, f"{rate:,.0f}", f"{rate / slow:,.0f}", f"{rms(found.xy, given.xy):.4f}", evaluations)
        )
    head = ("engine", "precision", "columns per CPU second", "times Atomap", "rms error (px)", "evaluations")
    return Table(
        "Single columns, 15 x 15 px, 7 parameters", head, rows, f"One thread. Atomap: {FOR_ATOMAP**2} columns."
    )


class level_of:  # noqa: N801 (it is used as a function)
    """The kernel on one instruction set, for as long as the block lasts; "" leaves it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        if self.name:
            from stemdisp.fitting.kernel import _kernel

            self.before = _kernel.level()
            _kernel.use(self.name)

    def __exit__(self, *_: object) -> None:
        if self.name:
            from stemdisp.fitting.kernel import _kernel

            _kernel.use(self.before)


def engines() -> list[tuple[Device, type, str]]:
    """All engines: device, number type, instruction set."""
    found: list[tuple[Device, type, str]] = [(replace(CPU, compiled=False, threads=1), np.float64, "")]
    if built():
        from stemdisp.fitting.kernel import _kernel

        found += [
            (replace(CPU, threads=1), t, level) for level, t in product(_kernel.levels(), (np.float32, np.float64))
        ]
    try:
        found += [(choose("gpu"), dtype, "") for dtype in (np.float32, np.float64)]
    except DeviceError as error:
        say(str(error))
    return found


def models() -> Table:
    """Rates of the compiled kernel for every kind of model."""
    given, rows = scene(PER_ROW), []
    for shape, plane, likelihood, tail in product(
        ("shared", "circular", "elliptical"), (False, True), ("least_squares", "poisson"), (0.0, 0.1)
    ):
        model, rates = ColumnModel(shape, plane, likelihood, tail), []
        say(f"{model}")
        for dtype in (np.float32, np.float64):
            image = given.image.astype(dtype)
            cpu, _, _ = best(
                lambda i=image, m=model: fit_columns(i, given.starts, m, device=replace(CPU, threads=1)), 0.5
            )
            rates.append(f"{len(given.xy) / cpu:,.0f}")
        background = "plane" if plane else "constant"
        rows.append(
            (shape, background, likelihood.replace("_", " "), "2" if tail else "1", str(model.parameters), *rates)
        )
    head = ("shape", "background", "likelihood", "components", "parameters", "single", "double")
    return Table("Columns per CPU second of one core, 15 x 15 px", head, rows)


def threads() -> Table:
    """How much sooner more threads are done."""
    given, rows = scene(2 * PER_ROW), []
    image = given.image.astype(np.float32)
    walls = {}
    for count in sorted({1, 2, CPU.threads}):
        _, walls[count], _ = best(lambda n=count: fit_columns(image, given.starts, device=replace(CPU, threads=n)), 4.0)
        rows.append((str(count), f"{len(given.xy) / walls[count]:,.0f}", f"{walls[1] / walls[count]:.2f}"))
    note = f"{len(given.xy):,} columns, single precision. A busy machine shows less than there is."
    return Table("Threads", ("threads", "columns per second", "times one thread"), rows, note)


def larger() -> Table:
    """Rates for other sizes of windows."""
    given, rows = scene(PER_ROW), []
    for size in (9, 11, 15, 17):
        rates = []
        for dtype in (np.float32, np.float64):
            image, search = given.image.astype(dtype), Search(size=size)
            run = replace(CPU, threads=1)
            cpu, _, _ = best(lambda i=image, s=search, d=run: fit_columns(i, given.starts, None, s, device=d), 0.5)
            rates.append(f"{len(given.xy) / cpu:,.0f}")
        rows.append((f"{size} x {size}", *rates))
    return Table("Columns per CPU second by size of window, 7 parameters", ("window (px)", "single", "double"), rows)


class _Timed:
    """A module of the GPU whose kernels note the milliseconds that they take."""

    def __init__(self, module: Any, spent: list[float]) -> None:
        self.module, self.spent = module, spent

    def get_function(self, name: str) -> Callable[..., None]:
        from cupy import cuda

        def launched(*given: Any) -> None:
            before, after = cuda.Event(), cuda.Event()
            before.record()
            kernel(*given)
            after.record()
            after.synchronize()
            self.spent.append(cuda.get_elapsed_time(before, after))

        kernel = self.module.get_function(name)
        return launched


def alone(run: Callable[[], ColumnFits]) -> float:
    """Seconds of a call in which the GPU fits, without what brings images there and tables back."""
    module, spent = launch._module, []
    launch._module = lambda macros: _Timed(module(macros), spent)
    try:
        run()
    finally:
        launch._module = module
    return sum(spent) / 1e3


def on_gpu() -> Table:
    """Rates on a GPU by wall clock, against all threads of the processor beside it."""
    gpu, rows = choose("gpu"), []
    for per_row, dtype in product((PER_ROW, 320), (np.float32, np.float64)):
        given = scene(per_row)
        image, n = given.image.astype(dtype), per_row**2
        say(f"{gpu.name} {n} {dtype.__name__}")
        fit_columns(image, given.starts, device=gpu)  # compiles the kernel
        _, wall, found = best(lambda i=image, s=given.starts: fit_columns(i, s, device=gpu))
        _, here, same = best(lambda i=image, s=given.starts: fit_columns(i, s, device=CPU))
        kernel = alone(lambda i=image, s=given.starts: fit_columns(i, s, device=gpu))
        off = f"{float(np.nanmax(np.abs(found.xy - same.xy))):.0e}"
        precision = "single" if dtype is np.float32 else "double"
        rows.append((f"{n:,}", precision, *(f"{n / seconds:,.0f}" for seconds in (kernel, wall, here)), off))
    head = ("columns", "precision", "kernel alone", "image up, tables down", "processor", "largest difference (px)")
    note = f"{gpu.name.removeprefix('gpu: ')}, and {CPU.threads} threads of the processor beside it."
    return Table("Columns per second on a GPU, 15 x 15 px, 7 parameters", head, rows, note)


def tables() -> list[Table]:
    """All tables; that of a GPU only where one computes."""
    found = [peers(), *([models(), larger(), threads()] if built() else [])]
    try:
        return [*found, on_gpu()]
    except DeviceError:
        return found


if __name__ == "__main__":
    for one in tables():
        print(one, flush=True)
