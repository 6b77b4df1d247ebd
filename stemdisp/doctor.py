"""What is installed, which devices compute, and how fast and how well each of them fits a trial image."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from . import __version__
from .backend import CPU, Device, choose
from .errors import DeviceError
from .fitting.engine import built
from .fitting.window import fit_columns, round_starts

PACKAGES = ("numpy", "scipy", "scikit-image", "hyperspy", "atomap", "matplotlib", "dask")
CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy")

SIDE, PER_ROW, SIGMA, COUNTS, LEVEL = 18, 64, 2.5, 500.0, 50.0
"""Trial image: px between columns, columns along a side, their width in px, counts of column and background."""

TIMED = 0.3
"""Seconds that a trial is repeated for, at least."""


@dataclass(frozen=True)
class Trial:
    """How one engine fitted the trial image.

    Fits per second of wall and per second of CPU, rms error per axis, and the smallest possible one, in px.
    """

    engine: str
    numbers: str
    threads: int
    per_second: float
    per_cpu_second: float
    error_px: float
    bound_px: float


def trial_image() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Round columns with Poisson noise, and where they are (n, 2)."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(PER_ROW), np.arange(PER_ROW)), axis=-1).reshape(-1, 2) * SIDE + SIDE // 2
    xy = grid + rng.uniform(-0.5, 0.5, grid.shape)
    line = np.arange(SIDE * PER_ROW)
    own = np.exp(-((line[None, :] - xy[:, 0, None]) ** 2) / (2 * SIGMA**2))
    other = np.exp(-((line[None, :] - xy[:, 1, None]) ** 2) / (2 * SIGMA**2))
    return rng.poisson(LEVEL + COUNTS * other.T @ own).astype(float), xy


def bound_px() -> float:
    """Cramer-Rao bound of a centred column of the trial image, per axis: the other parameters do not add to it."""
    y, x = np.mgrid[-7:8, -7:8]
    column = COUNTS * np.exp(-(x**2 + y**2) / (2 * SIGMA**2))
    return float(1 / np.sqrt(((column * x / SIGMA**2) ** 2 / (LEVEL + column)).sum()))


def trials(devices: list[Device]) -> Iterator[Trial]:
    """The trial image on each device, in single and in double precision."""
    image, xy = trial_image()
    starts = round_starts(xy + np.random.default_rng(1).uniform(-0.5, 0.5, xy.shape), 0.85 * SIGMA, 3.0)
    bound = bound_px()
    for device in devices:
        for dtype, numbers in ((np.float32, "single"), (np.float64, "double")):
            if not device.compiled and dtype is np.float32:
                continue  # arrays compute in double precision, whatever they are given
            pixels = image.astype(dtype)
            fit_columns(pixels, starts, device=device)
            wall, cpu, repeats = time.perf_counter(), time.process_time(), 0
            while not repeats or time.perf_counter() - wall < TIMED:
                found = fit_columns(pixels, starts, device=device)
                repeats += 1
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            error = float(np.sqrt(np.mean((found.xy[found.converged] - xy[found.converged]) ** 2)))
            fits = repeats * len(xy)
            threads = 1 if device.is_gpu else device.threads
            yield Trial(found.engine, numbers, threads, fits / wall, fits / max(cpu, 1e-9), error, bound)


def devices() -> tuple[list[Device], str]:
    """All devices that compute, and why there is no GPU among them, or nothing."""
    found = [CPU] if built() else []
    found.append(replace(CPU, compiled=False, threads=1))
    try:
        gpu = choose("gpu")
    except DeviceError as error:
        return found, str(error).removeprefix("device gpu: ").removesuffix("; use --device cpu")
    return [*found, gpu], ""


def versions() -> dict[str, str]:
    """Python, stemdisp and the packages that its numbers depend on."""
    known = {"Python": f"{platform.python_version()}, {platform.machine()}", "stemdisp": __version__}
    for name in (*PACKAGES, *CUPY):
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            if name not in CUPY:
                known[name] = "not installed"
    if not any(name in known for name in CUPY):
        known["CuPy"] = "not installed" if find_spec("cupy") is None else "of unknown version"
    return known


def engines() -> dict[str, str]:
    """Which engine computes here, and on how many threads."""
    if not built():
        return {
            "engine": "arrays (NumPy): the kernel was not built; it needs a C++ compiler when stemdisp is installed"
        }
    from .fitting.kernel import _kernel

    return {
        "engine": f"compiled, {_kernel.level()} (this build and processor: {', '.join(_kernel.levels())})",
        "threads": f"{CPU.threads}, or as many as OMP_NUM_THREADS says",
    }


def show(*, width: int | None) -> None:
    """Writes all of it to the terminal, or in lines of ``width`` characters."""
    Console(width=width, highlight=False).print(examination())


def examination() -> RenderableType:
    """All of it, to be printed."""
    facts = Table.grid(padding=(0, 2))
    found, missing = devices()
    for name, text in {**versions(), **engines(), "GPU": missing or found[-1].name}.items():
        facts.add_row(name, escape(text))
    fits = Table(title=f"{PER_ROW**2} columns in 15 x 15 px, 7 parameters", title_justify="left", box=None)
    for head in ("engine", "precision", "threads", "fits/s", "fits per CPU s", "rms error (px)", "least possible"):
        fits.add_column(head, justify="left" if head in ("engine", "precision") else "right")
    for trial in trials(found):
        speed = (f"{trial.per_second:,.0f}", f"{trial.per_cpu_second:,.0f}")
        fits.add_row(
            trial.engine, trial.numbers, str(trial.threads), *speed, f"{trial.error_px:.4f}", f"{trial.bound_px:.4f}"
        )
    return Group(facts, Padding(fits, (1, 0)))
