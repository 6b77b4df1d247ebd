"""Single columns in windows: the kernel against arrays, symmetries to the bit, and windows that cannot be fitted."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest

from stemdisp.backend import CPU, Device, choose
from stemdisp.errors import DeviceError
from stemdisp.fitting import window
from stemdisp.fitting.engine import built
from stemdisp.fitting.window import ColumnFits, ColumnModel, Search, Starts, Status, fit_columns, round_starts

ARRAYS = replace(CPU, compiled=False)
ENGINES = [pytest.param(ARRAYS, id="arrays")] + ([pytest.param(CPU, id="compiled")] if built() else [])
MODELS = [
    ColumnModel(shape, plane, likelihood, tail)
    for shape, plane, likelihood, tail in product(
        ("shared", "circular", "elliptical"), (False, True), ("least_squares", "poisson"), (0.0, 0.12)
    )
]
SIDE, PER_ROW = 18, 20
SHAPE = np.array([0.08, 0.01, 0.07])
needs_kernel = pytest.mark.skipif(not built(), reason="the kernel was not built")


def drawn(n: int = 100, height: float = 500.0, level: float = 50.0, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Columns in cells of their own, and where they are."""
    rng = np.random.default_rng(seed)
    cells = np.stack([np.arange(n) % PER_ROW, np.arange(n) // PER_ROW], axis=1) * SIDE
    xy = cells + SIDE // 2 + rng.uniform(-0.5, 0.5, cells.shape)
    image = np.full((SIDE * -(-n // PER_ROW), SIDE * PER_ROW), level)
    y, x = np.indices(image.shape)
    for (cx, cy), (px, py) in zip(cells, xy, strict=True):
        box = np.s_[cy : cy + SIDE, cx : cx + SIDE]
        dx, dy = x[box] - px, y[box] - py
        image[box] += height * np.exp(-(SHAPE[0] * dx * dx + 2 * SHAPE[1] * dx * dy + SHAPE[2] * dy * dy))
    return image, xy


def noisy(n: int = 100, height: float = 500.0) -> tuple[np.ndarray, np.ndarray, Starts]:
    image, xy = drawn(n, height)
    rng = np.random.default_rng(5)
    starts = round_starts(xy + rng.uniform(-0.5, 0.5, xy.shape), 2.6, 3.0)
    return rng.poisson(image).astype(float), xy, starts


def rows(starts: Starts, which: np.ndarray | slice) -> Starts:
    return Starts(starts.xy[which], starts.shape[which], starts.limit[which])


def identical(one: ColumnFits, other: ColumnFits, which: np.ndarray | slice = slice(None)) -> None:
    for field in fields(one):
        if field.name != "engine":
            np.testing.assert_array_equal(getattr(one, field.name)[which], getattr(other, field.name), field.name)


@needs_kernel
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_kernel_takes_the_steps_of_the_arrays(model) -> None:
    image, _, starts = noisy()
    image[3, 5] = image[40, 60] = np.nan
    found = [fit_columns(image, starts, model, Search(tolerance=1e-8), device=device) for device in (CPU, ARRAYS)]
    assert found[0].engine.startswith("compiled") and found[1].engine == "arrays, cpu"
    np.testing.assert_array_equal(found[0].status, found[1].status)
    np.testing.assert_array_equal(found[0].pixels, found[1].pixels)
    np.testing.assert_allclose(found[0].evaluations, found[1].evaluations, atol=2)
    for name, tolerance in (("xy", 1e-9), ("shape", 1e-10), ("amplitude", 1e-6), ("level", 1e-6), ("slopes", 1e-7)):
        np.testing.assert_allclose(getattr(found[0], name), getattr(found[1], name), atol=tolerance, err_msg=name)
    np.testing.assert_allclose(found[0].covariance, found[1].covariance, rtol=1e-5, atol=1e-10)
    np.testing.assert_allclose(found[0].background_variance, found[1].background_variance, rtol=1e-5)
    np.testing.assert_allclose(found[0].chi2, found[1].chi2, rtol=1e-6)


@needs_kernel
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_single_precision_is_enough(model) -> None:
    image, _, starts = noisy()
    exact = fit_columns(image, starts, model, Search(tolerance=1e-8))
    found = fit_columns(image.astype(np.float32), starts, model)
    assert found.converged.all()
    np.testing.assert_allclose(found.xy, exact.xy, atol=1e-4)
    np.testing.assert_allclose(found.covariance[:, 1, 1], exact.covariance[:, 1, 1], rtol=1e-2)


@needs_kernel
def test_every_instruction_set_gives_the_same() -> None:
    from stemdisp.fitting.kernel import _kernel

    image, _, starts = noisy()
    best, found = _kernel.level(), {}
    try:
        for level in _kernel.levels():
            _kernel.use(level)
            for dtype in (np.float32, np.float64):
                found[level, dtype] = fit_columns(image.astype(dtype), starts)
                assert found[level, dtype].engine == f"compiled, {level}"
    finally:
        _kernel.use(best)
    for fit in found.values():
        np.testing.assert_allclose(fit.xy, found["baseline", np.float64].xy, atol=1e-4)
    for level in _kernel.levels():
        np.testing.assert_allclose(found[level, np.float32].xy, found["baseline", np.float32].xy, atol=1e-5)


@pytest.mark.parametrize("device", ENGINES)
@pytest.mark.parametrize("likelihood", ["least_squares", "poisson"])
def test_exact_without_noise(device, likelihood) -> None:
    image, xy = drawn()
    starts = round_starts(xy + np.random.default_rng(1).uniform(-0.5, 0.5, xy.shape), 2.2, 3.0)
    found = fit_columns(image, starts, ColumnModel(likelihood=likelihood), device=device)
    assert found.converged.all()
    np.testing.assert_allclose(found.xy, xy, atol=1e-5)
    np.testing.assert_allclose(found.shape, np.broadcast_to(SHAPE, (len(xy), 3)), atol=1e-5)
    np.testing.assert_allclose(found.amplitude, 500, rtol=1e-4)
    np.testing.assert_allclose(found.level, 50, atol=0.05)


@pytest.mark.parametrize("device", ENGINES)
def test_counts_are_fitted_at_the_bound_and_know_it(device) -> None:
    image, xy, starts = noisy(400 if device is ARRAYS else 2000)
    found = fit_columns(image, starts, ColumnModel(likelihood="poisson"), device=device)
    pulls = (found.xy - xy) / np.sqrt(np.einsum("nii->ni", found.covariance)[:, 1:])
    assert found.converged.all()
    assert pulls.var() == pytest.approx(1, abs=4 / len(xy) ** 0.5)
    assert found.chi2.mean() == pytest.approx(1, abs=0.02)
    assert abs((found.xy - xy).mean() / (found.xy - xy).std()) * (2 * len(xy)) ** 0.5 < 3.5


@pytest.mark.parametrize("device", ENGINES)
def test_starts_are_forgotten(device) -> None:
    image, xy, _ = noisy()
    found = []
    for away in (-0.45, 0.45):
        starts = round_starts(np.rint(xy) + away, 2.6, 3.0)
        found.append(fit_columns(image, starts, ColumnModel(), Search(tolerance=1e-6), device=device))
    np.testing.assert_allclose(found[0].xy, found[1].xy, atol=1e-6)


@needs_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", MODELS[::3], ids=str)
def test_order_number_and_threads_change_no_bit(model, dtype) -> None:
    image, _, starts = noisy(137)
    image[3, 5] = image[40, 60] = np.nan
    image = image.astype(dtype)
    whole = fit_columns(image, starts, model, device=replace(CPU, threads=1))
    for threads in (2, 3, 16):
        identical(whole, fit_columns(image, starts, model, device=replace(CPU, threads=threads)))
    order = np.random.default_rng(0).permutation(len(starts.xy))
    identical(whole, fit_columns(image, rows(starts, order), model), order)
    for low, high in ((0, 1), (5, 8), (20, 136)):
        identical(whole, fit_columns(image, rows(starts, slice(low, high)), model), slice(low, high))


@pytest.mark.parametrize("device", ENGINES)
@pytest.mark.parametrize(
    "model", [ColumnModel(), ColumnModel("shared", True, tail=0.1), ColumnModel("circular")], ids=str
)
def test_turned_images_give_turned_columns(device, model) -> None:
    image, _, starts = noisy(40)
    search, width = Search(tolerance=1e-8), image.shape[1] - 1
    found = fit_columns(image, starts, model, search, device=device)
    turned = replace(starts, xy=starts.xy[:, ::-1], shape=starts.shape[:, ::-1])
    other = fit_columns(image.T.copy(), turned, model, search, device=device)
    np.testing.assert_allclose(other.xy[:, ::-1], found.xy, atol=1e-8)
    np.testing.assert_allclose(other.shape[:, ::-1], found.shape, atol=1e-9)
    mirrored = replace(starts, xy=starts.xy * [-1, 1] + [width, 0])
    other = fit_columns(image[:, ::-1].copy(), mirrored, model, search, device=device)
    np.testing.assert_allclose(other.xy * [-1, 1] + [width, 0], found.xy, atol=1e-8)
    np.testing.assert_allclose(other.slopes * [-1, 1], found.slopes, atol=1e-6)
    moved = replace(starts, xy=starts.xy + np.array([3, 7]))
    other = fit_columns(np.pad(image, ((7, 0), (3, 0))), moved, model, search, device=device)
    np.testing.assert_allclose(other.xy - [3, 7], found.xy, atol=1e-8)


@pytest.mark.parametrize("device", ENGINES)
@pytest.mark.parametrize(("factor", "offset"), [(1e-9, 0.0), (1e9, 0.0), (-3.0, 17.0), (1.0, 1e5)])
def test_brightness_is_only_a_unit(device, factor, offset) -> None:
    image, _, starts = noisy(40)
    model, search = ColumnModel(plane=True), Search(tolerance=1e-8)
    found = fit_columns(image, starts, model, search, device=device)
    other = fit_columns(factor * image + offset, starts, model, search, device=device)
    np.testing.assert_allclose(other.xy, found.xy, atol=1e-6)
    np.testing.assert_allclose(other.amplitude, factor * found.amplitude, rtol=1e-6)
    np.testing.assert_allclose(other.level, factor * found.level + offset, rtol=1e-6)
    np.testing.assert_allclose(other.covariance[:, 1:, 1:], found.covariance[:, 1:, 1:], rtol=1e-4)


@pytest.mark.parametrize("device", ENGINES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", MODELS[::2], ids=str)
def test_windows_that_cannot_be_fitted_say_so(device, dtype, model) -> None:
    image, xy = drawn(40)
    image = image.astype(dtype)
    image[:SIDE, :SIDE] = np.nan
    image[:SIDE, SIDE : 2 * SIDE] = 70.0
    image[:SIDE, 3 * SIDE : 4 * SIDE] *= -1
    places = np.concatenate([xy, [[-50.0, -50.0], [1e6, 3.0], [0.0, 40.0], [5.3, 5.3]]])
    found = fit_columns(image, round_starts(places, 2.6, 2.0), model, device=device)
    assert found.status[0] == Status.FEW_PIXELS and found.status[1] == Status.SINGULAR
    assert (found.status[[40, 41]] == Status.FEW_PIXELS).all()
    assert found.converged[5:40].all()
    failed = np.isin(found.status, (Status.FEW_PIXELS, Status.SINGULAR))
    assert np.isnan(found.amplitude[failed]).all() and np.isnan(found.covariance[failed]).all()
    np.testing.assert_allclose(found.xy[failed], places[failed], atol=1e-4)
    assert np.isfinite(found.xy).all() and np.isfinite(found.amplitude[~failed]).all()
    assert np.isfinite(found.covariance[~failed]).all()


@pytest.mark.parametrize("device", ENGINES)
def test_two_starts_on_one_column_find_it_twice(device) -> None:
    image, xy = drawn(20)
    twice = np.repeat(xy[:1], 2, axis=0) + np.array([[0.3, 0.2], [-0.4, 0.1]])
    found = fit_columns(image, round_starts(twice, 2.5, 3.0), ColumnModel(), Search(tolerance=1e-7), device=device)
    np.testing.assert_allclose(found.xy, np.repeat(xy[:1], 2, axis=0), atol=1e-6)


@pytest.mark.parametrize("device", ENGINES)
def test_nothing_leaves_its_limit(device) -> None:
    image, xy, starts = noisy(40)
    near = replace(starts, xy=xy + np.array([1.5, 0.0]), limit=np.full(len(xy), 0.7))
    found = fit_columns(image, near, device=device)
    assert (np.hypot(*(found.xy - near.xy).T) <= 0.7 + 1e-9).all()
    assert (found.status == Status.AT_LIMIT).all()


@pytest.mark.parametrize("device", ENGINES)
def test_too_few_evaluations_are_told(device) -> None:
    image, _, starts = noisy(40)
    found = fit_columns(image, starts, ColumnModel(), Search(evaluations=2), device=device)
    assert (found.status == Status.NOT_CONVERGED).all() and (found.evaluations == 3).all()
    assert np.isfinite(found.covariance).all()


@pytest.mark.parametrize("device", ENGINES)
def test_pixels_without_weight_are_as_good_as_missing(device) -> None:
    image, _, starts = noisy(40)
    weight = (np.random.default_rng(2).uniform(size=image.shape) > 0.1).astype(float)
    one = fit_columns(np.where(weight > 0, image, 1e6), starts, weight=weight, device=device)
    other = fit_columns(np.where(weight > 0, image, np.nan), starts, device=device)
    identical(one, other)
    np.testing.assert_allclose(fit_columns(image, starts, weight=7 * weight, device=device).xy, one.xy, atol=1e-9)


@pytest.mark.parametrize("device", ENGINES)
def test_no_columns_is_no_error(device) -> None:
    found = fit_columns(np.ones((20, 20)), round_starts(np.zeros((0, 2)), 2.0, 1.0), device=device)
    assert found.xy.shape == (0, 2) and found.covariance.shape == (0, 3, 3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ColumnModel("square"), "shape = 'square': must be one of shared, circular, elliptical"),
        (lambda: ColumnModel(likelihood="median"), "must be least_squares or poisson"),
        (lambda: ColumnModel(tail=1.0), "the tail is a share below 1"),
        (lambda: Search(size=14), "size = 14: must be odd, 3 to 129 px"),
        (lambda: Search(tolerance=0), "must be positive"),
        (lambda: round_starts(np.array([[np.nan, 1.0]]), 2.0, 1.0), "every position has to be finite"),
        (lambda: Starts(np.zeros((2, 2)), np.zeros((1, 3)), np.ones(2)), "xy (n, 2), shape (n, 3)"),
        (lambda: fit_columns(np.ones(5), round_starts(np.zeros((0, 2)), 2, 1)), "must have 2 axes, has 1"),
        (
            lambda: fit_columns(np.ones((5, 5)), round_starts(np.zeros((0, 2)), 2, 1), weight=np.ones((5, 4))),
            "must have the shape of the image",
        ),
    ],
)
def test_nonsense_is_one_sentence(call, says) -> None:
    with pytest.raises(ValueError) as error:
        call()
    assert says in str(error.value) and "\n" not in str(error.value)


class _Broken:
    """A GPU whose memory is full."""

    float64 = np.float64

    def empty(self, *_, **__) -> None:
        raise MemoryError("Out of memory allocating 8 bytes\nand more")


@pytest.mark.parametrize("required", [False, True])
def test_a_full_gpu_is_one_line_and_the_cpu_or_an_error(required, caplog) -> None:
    image, _, starts = noisy(20)
    device = Device("gpu: small", _Broken(), required=required)
    if required:
        with pytest.raises(DeviceError, match=r"^gpu: small: out of memory \(Out of memory allocating 8 bytes\)"):
            fit_columns(image, starts, device=device)
        return
    found = fit_columns(image, starts, device=device)
    identical(found, fit_columns(image, starts))
    assert [record.message for record in caplog.records] == [
        "computing on the CPU: gpu: small: out of memory (Out of memory allocating 8 bytes); use --device cpu"
    ]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_gpu_gives_the_same(model, dtype, monkeypatch) -> None:
    image, _, starts = noisy()
    image[3, 5] = image[40, 60] = np.nan
    image, gpu = image.astype(dtype), choose("gpu")
    found = fit_columns(image, starts, model, device=gpu)
    assert found.engine == f"compiled, {gpu.name}"
    np.testing.assert_allclose(found.xy, fit_columns(image, starts, model).xy, atol=1e-3)
    arrays = fit_columns(image, starts, model, device=replace(gpu, compiled=False))
    np.testing.assert_allclose(found.xy, arrays.xy, atol=1e-3)
    from stemdisp.fitting import launch

    monkeypatch.setattr(launch, "SHARE", 1e-9)
    identical(found, fit_columns(image, starts, model, device=gpu))


def test_where_nothing_was_built_arrays_compute(monkeypatch) -> None:
    image, _, starts = noisy(20)
    monkeypatch.setattr(window, "built", lambda: False)
    assert fit_columns(image, starts).engine == "arrays, cpu"
