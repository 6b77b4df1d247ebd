"""Images without the crystal that was asked for end in "no lattice found"; never in a map of displacements."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

import stemdisp
from stemdisp.cli import app
from stemdisp.errors import StageError
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal
from stemdisp.scene import Edge, Scene, View
from stemdisp.synthetic import simulate

SHAPE = (256, 256)
PIXEL = PixelSize(12.5, 12.5, "file")


def _grid() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    y, x = np.indices(SHAPE)
    return y, x


def _random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _amorphous(seed: int) -> NDArray[np.generic]:
    """Nothing but the amorphous cap: the crystal's edge lies far below the frame."""
    scene = Scene(view=View(shape=SHAPE, pixel_size_pm=(12.5, 12.5)), edge=Edge(offset_A=-40.0), seed=seed)
    return simulate(scene.facing(90))[0].signals["HAADF"].image


def _crystal(**changes: object) -> NDArray[np.float64]:
    scene = Scene(view=View(shape=SHAPE, pixel_size_pm=(12.5, 12.5)), **changes)  # type: ignore[arg-type]
    return np.array(simulate(scene)[0].signals["HAADF"].image, dtype=float)


def _mostly_nan() -> NDArray[np.float64]:
    image = _random().normal(100, 10, SHAPE)
    image[_random(1).random(SHAPE) < 0.6] = np.nan
    return image


def _square_lattice(spacing_px: float, width_px: float) -> NDArray[np.float64]:
    """A crystal of another size: round spots on a square lattice."""
    y, x = _grid()
    rx, ry = (x + spacing_px / 2) % spacing_px - spacing_px / 2, (y + spacing_px / 2) % spacing_px - spacing_px / 2
    return _random().poisson(50 + 500 * np.exp(-(rx**2 + ry**2) / (2 * width_px**2))).astype(float)


EMPTY = {
    "all zero": lambda: np.zeros(SHAPE),
    "constant": lambda: np.full(SHAPE, 7.0),
    "constant, 8 bit": lambda: np.full(SHAPE, 255, dtype=np.uint8),
    "all NaN": lambda: np.full(SHAPE, np.nan),
    "all infinite": lambda: np.full(SHAPE, np.inf),
    "NaN-ridden noise": _mostly_nan,
    **{f"Gaussian noise {n}": lambda n=n: _random(n).normal(1000, 30, SHAPE) for n in range(5)},
    **{f"Poisson noise {n}": lambda n=n: _random(n).poisson(3, SHAPE).astype(np.uint16) for n in range(5)},
    **{
        f"smooth noise {s} px": lambda s=s: 100 + 9 * gaussian_filter(_random().normal(size=SHAPE), s)
        for s in (1, 3, 6, 12)
    },
    **{f"amorphous {n}": lambda n=n: _amorphous(n) for n in range(5)},
    "gradient": lambda: _grid()[1] * 1.0,
    "gradient with noise": lambda: _random().poisson(50 + _grid()[1]).astype(float),
    "checkerboard": lambda: (_grid()[0] + _grid()[1]) % 2 * 100.0,
    "coarse checkerboard": lambda: (_grid()[0] // 16 + _grid()[1] // 16) % 2 * 100.0,
    "stripes": lambda: 100 + 50 * np.sin(2 * np.pi * _grid()[1] / 22.6),
    "one spot": lambda: 100.0 * np.exp(-((_grid()[0] - 128) ** 2 + (_grid()[1] - 100) ** 2) / 32),
    "hot pixel": lambda: np.where((_grid()[0] == 9) & (_grid()[1] == 9), 65535.0, 10.0),
    "saturated": lambda: np.where(_random().random(SHAPE) < 0.5, 255, 254).astype(np.uint8),
    "bright rows": lambda: _random().normal(0, 1, SHAPE) + 20 * _random(1).normal(size=(SHAPE[0], 1)),
    "another crystal": lambda: _square_lattice(39.0, 6.0),
}


def analyse(image: NDArray[np.generic], zone: str, pixel_size: PixelSize | None = PIXEL) -> stemdisp.Analysis:
    """The analysis of a bare array."""
    micrograph = Micrograph("empty", {"HAADF": Signal("HAADF", np.asarray(image))}, pixel_size)
    return stemdisp.analyse(micrograph, stemdisp.recipe_for("KTaO3", zone))


@pytest.mark.parametrize("zone", ["001", "1-10"])
@pytest.mark.parametrize("name", EMPTY)
def test_no_lattice(name: str, zone: str) -> None:
    """One sentence that says so, from whichever step sees it first."""
    with pytest.raises(StageError, match="no lattice found"):
        analyse(EMPTY[name](), zone)


@pytest.mark.parametrize("name", ["Gaussian noise 0", "smooth noise 3 px", "amorphous 0", "gradient"])
def test_no_lattice_at_any_magnification(name: str) -> None:
    """The search over all magnifications, where the pixel size is unknown, finds none by chance."""
    with pytest.raises(StageError, match="no lattice found"):
        analyse(EMPTY[name](), "1-10", pixel_size=None)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (3, 3), (15, 15), (16, 300)])
@pytest.mark.parametrize("crystal", [False, True], ids=["noise", "crystal"])
def test_images_too_small(shape: tuple[int, int], crystal: bool) -> None:
    """Too few pixels for any lattice, whatever they show."""
    image = _crystal()[: shape[0], : shape[1]] if crystal else _random().normal(100, 10, shape)
    with pytest.raises(StageError, match="no lattice found"):
        analyse(image, "1-10")


def test_other_zone() -> None:
    """A crystal seen along one zone is not found along the other."""
    along = {"001": _crystal(zone=(0, 0, 1)), "1-10": _crystal(zone=(1, -1, 0))}
    for zone, image in along.items():
        other = "1-10" if zone == "001" else "001"
        with pytest.raises(StageError, match="no lattice found"):
            analyse(image, other)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
def test_pixel_size_far_off(factor: float) -> None:
    """With a pixel size that makes the crystal another one's size there is no KTaO3."""
    with pytest.raises(StageError, match="no lattice found"):
        analyse(_crystal(), "1-10", PixelSize(12.5 * factor, 12.5 * factor, "file"))


def test_exit_code(tmp_path: Path) -> None:
    """The command line says it and ends with 1; no map is written."""
    path, out = tmp_path / "noise_HAADF.tif", tmp_path / "out"
    tifffile.imwrite(path, _random().normal(1000, 30, SHAPE).astype(np.float32))
    options = ["--material", "KTaO3", "--zone", "1-10", "--pixel-size", "12.5"]
    result = CliRunner().invoke(app, ["run", str(path), "-o", str(out), *options])
    assert result.exit_code == 1
    assert not list(out.rglob("cells.*")) and not list(out.rglob("*.png"))
    assert "no lattice found" in next(out.rglob("failure.json")).read_text(encoding="utf-8")
