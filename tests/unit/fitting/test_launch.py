"""The GPU's kernels without a GPU: NVRTC compiles every one of them, and their arithmetic runs as C++ on the CPU."""

from __future__ import annotations

import ctypes
import io
import itertools
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from stemdisp.backend import CPU
from stemdisp.fitting import launch
from stemdisp.fitting.window import ColumnModel, Search, fit_columns, round_starts

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_120")
MODELS = [
    (ColumnModel(shape, plane, likelihood, tail), complete)
    for shape, plane, likelihood, tail, complete in itertools.product(
        ("shared", "circular", "elliptical"), (False, True), ("least_squares", "poisson"), (0.0, 0.1), (True, False)
    )
]
SMALLEST, LARGEST = (ColumnModel(), True), (ColumnModel("elliptical", True, "poisson", 0.1), True)


def instances(dtype: type, models: list[tuple[ColumnModel, bool]]) -> list[tuple[tuple[str, str], ...]]:
    """What picks each kernel of one number type, each once."""
    number = np.dtype(dtype)
    picks = [launch.window_macros(number, model, complete=complete) for model, complete in models]
    return list(dict.fromkeys(tuple(pick.items()) for pick in picks))


def spills(architecture: str, macros: tuple[tuple[str, str], ...]) -> int:
    """Bytes that the kernels of one instance keep outside registers for want of room; prints what they take."""
    core = pytest.importorskip("cuda.core", exc_type=ImportError)
    options = core.ProgramOptions(
        std="c++17",
        arch=architecture,
        include_path=[str(launch.KERNELS)],
        define_macro=list(macros),
        ptxas_options=["-v"],
    )
    source, log = (launch.KERNELS / "device.cu").read_text(encoding="utf-8"), io.StringIO()
    core.Program(source, "c++", options).compile("cubin", logs=log)
    text = log.getvalue()
    assert "warning" not in text.lower(), text
    found = re.findall(r"entry function '(\w+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers", text, re.DOTALL)
    picked = " ".join(f"{name.removeprefix('STEMDISP_').lower()}={value}" for name, value in macros)
    for name, spilled, registers in found:
        print(f"{architecture} {picked} {name}: {registers} registers, {spilled} bytes spilled")
    assert found, text
    return sum(int(spilled) for _, spilled, _ in found)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_kernels_compile_without_a_gpu(architecture) -> None:
    for macros in instances(np.float32, [SMALLEST, LARGEST]):
        assert spills(architecture, macros) == 0
    spills(architecture, instances(np.float64, [SMALLEST])[0])


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_compiles_without_a_gpu(architecture) -> None:
    for macros in instances(np.float32, MODELS):
        assert spills(architecture, macros) == 0
    # In double precision each for one architecture: they differ less than the kernels do, and take as long again.
    turn = ARCHITECTURES.index(architecture)
    for macros in instances(np.float64, MODELS)[turn :: len(ARCHITECTURES)]:
        spills(architecture, macros)


SHIM = """
#include <cmath>
#include <cstddef>
#define __global__
struct Place { int x; };
static Place blockIdx, blockDim, threadIdx;
using std::floor;
#include "device.cu"
extern "C" int size() { return int(sizeof(stemdisp::WindowTable<STEMDISP_SCALAR>)); }
extern "C" void run(const void* table, double tail, double wide, void* pixels, void* weights, const int* order,
                    int count, double* results, int* reports) {
    blockDim.x = 64;
    for (blockIdx.x = 0; blockIdx.x * 64 < count; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < 64; ++threadIdx.x)
            fit_windows((const stemdisp::WindowTable<STEMDISP_SCALAR>*)table, tail, wide, (STEMDISP_SCALAR*)pixels,
                        (STEMDISP_SCALAR*)weights, order, count, results, reports);
}
"""
"""A GPU of one thread: what a CUDA source says, run by a C++ compiler."""


class _OneThread:
    """As much of CuPy as the launch needs, on the CPU; its kernels are the CUDA source made a library by g++."""

    def __init__(self, folder) -> None:
        self.folder, self.cuda, self.runtime, self.batches = folder, self, self, 0
        for name in ("asarray", "empty", "zeros", "zeros_like", "floor", "flatnonzero", "isfinite", "clip"):
            setattr(self, name, getattr(np, name))
        self.float64 = np.float64

    def memGetInfo(self) -> tuple[int, int]:  # noqa: N802 (the name is CUDA's)
        return 400_000, 400_000

    def get_default_memory_pool(self) -> _OneThread:
        return self

    def free_bytes(self) -> int:
        return 0

    def asnumpy(self, array: np.ndarray) -> np.ndarray:
        return array

    def get_function(self, _: str) -> _OneThread:
        return self

    def module(self, macros: tuple[tuple[str, str], ...]) -> _OneThread:
        source, library = self.folder / "shim.cpp", self.folder / f"{abs(hash(macros))}.so"
        source.write_text(SHIM)
        defined = [f"-D{name}={value}" for name, value in macros]
        flags = ["-std=c++17", "-O1", "-shared", "-fPIC", "-fno-math-errno", f"-I{launch.KERNELS}"]
        subprocess.run(["g++", *flags, *defined, str(source), "-o", str(library)], check=True)
        self.library = ctypes.CDLL(str(library))
        assert self.library.size() == launch.TABLE.itemsize
        return self

    def __call__(self, grid: tuple[int], block: tuple[int], given: tuple) -> None:
        table, tail, wide, pixels, weights, order, count, results, reports = given
        assert grid[0] * block[0] >= count == len(order)
        self.batches += 1
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (pixels, weights, order)]
        ends = [ctypes.c_void_p(array.ctypes.data) for array in (results, reports)]
        start = ctypes.c_void_p(table.ctypes.data)
        self.library.run(start, ctypes.c_double(tail), ctypes.c_double(wide), *pointers, ctypes.c_int(count), *ends)


class _Device:
    is_gpu, compiled, required, name = True, True, True, "gpu: one thread"

    def __init__(self, xp: _OneThread) -> None:
        self.xp, self.up, self.down = xp, np.asarray, np.asarray


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "model",
    [ColumnModel(), ColumnModel("shared", True, tail=0.1), ColumnModel("circular", likelihood="poisson")],
    ids=str,
)
def test_the_cuda_source_computes_as_the_cpu_does(model, dtype, tmp_path, monkeypatch) -> None:
    rng = np.random.default_rng(2)
    y, x = np.indices((60, 2000))
    centre = 20 * (x // 20) + 10
    image = rng.poisson(50 + 400 * np.exp(-((x - centre) ** 2 + (y % 20 - 10) ** 2) / 13)).astype(dtype)
    image[2, 30] = np.nan
    xy = np.stack(np.meshgrid(np.arange(10, 2000, 20), np.arange(10, 60, 20)), axis=-1).reshape(-1, 2)
    xy = np.concatenate([xy + rng.uniform(-0.5, 0.5, xy.shape), [[-90.0, 3.0], [1.0, 1.0]]])
    starts = replace(round_starts(xy, 2.4, 3.0), own=rng.uniform(0, 1, len(xy)) if model.plane else None)
    weight = np.ones(image.shape) if model.plane else None
    thread = _OneThread(tmp_path)
    monkeypatch.setattr(launch, "_module", thread.module)
    monkeypatch.setattr(launch, "_address", lambda array: array.ctypes.data)
    search = Search(tolerance=1e-4 if dtype is np.float32 else 1e-7)
    found = fit_columns(image, starts, model, search, weight=weight, device=_Device(thread))
    expected = fit_columns(image, starts, model, search, weight=weight, device=replace(CPU, compiled=False))
    assert found.engine == "compiled, gpu: one thread" and thread.batches > 2
    # The last two starts have no column.
    np.testing.assert_array_equal(found.status[:-1], expected.status[:-1])
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    np.testing.assert_allclose(found.xy[:-2], expected.xy[:-2], atol=1e-4 if dtype is np.float32 else 1e-9)
    errors, known = (np.sqrt(np.einsum("nii->ni", fit.covariance[:-2])) for fit in (found, expected))
    np.testing.assert_allclose(errors, known, rtol=1e-2 if dtype is np.float32 else 1e-6)
