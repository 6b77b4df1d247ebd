"""Images from microscopes: no truth is known, but how many columns there are, and that a part says what the whole
does."""

from __future__ import annotations

import re

import numpy as np
import pytest
from measured import NCEM, PAIR, STACK, VELOX, Beside, barium_titanate, same_cells

import stemdisp
from stemdisp.errors import CalibrationError, StageError
from stemdisp.io.summary import summary
from stemdisp.model.analysis import Analysis
from stemdisp.pipeline import require_pixel_size


def there(files: Beside) -> Beside:
    """The files; skips the test where they are missing."""
    if not files.paths:
        pytest.skip(f"{files.pattern} lies beside the project only where its data were put there")
    return files


@pytest.fixture(scope="module")
def batio3() -> Analysis:
    return barium_titanate()


@pytest.mark.slow
def test_every_column_of_batio3_is_found_and_none_invented(batio3: Analysis) -> None:
    columns, lattice = batio3.columns, batio3.lattice
    assert columns is not None and lattice is not None
    for site, fewest in (("Ba", 1050), ("Ti", 980)):
        assert (columns.of_site(site) & columns.usable).sum() >= fewest
    ny, nx = batio3.micrograph.shape
    assert ((columns.xy > -0.5) & (columns.xy < [nx - 0.5, ny - 0.5])).all()
    cations = columns.of_site("Ba") | columns.of_site("Ti")
    off = columns.xy[cations] - lattice.position(columns.hk[cations], columns.site[cations])
    assert np.hypot(*off.T).max() < 0.35 * np.linalg.norm(lattice.cell, axis=1).min() / 2
    # The crystal fills the frame: the area holds as many cells as it has columns of a site.
    cells = nx * ny / abs(np.linalg.det(lattice.cell))
    for site in ("Ba", "Ti"):
        assert columns.of_site(site).sum() == pytest.approx(cells, rel=0.03)


@pytest.mark.slow
def test_batio3_is_polar_and_says_how_sure_that_is(batio3: Analysis) -> None:
    mean = summary(batio3)["displacement"]
    assert mean["cells"] >= 1000 and mean["p_value"] < 0.01 and mean["coherence"] > 0.9
    assert 3 < mean["magnitude_pm"] < 15 and max(mean["sem_pm"]) < 0.2
    assert batio3.quality is not None
    (check,) = (one for one in batio3.quality.checks if one.name == "mean_displacement")
    assert re.search(r"the mean of all 1\d\d\d cells is \(.* \+- .*, .* \+- .*\) pm; .* \(Rayleigh\)", check.sentence)


@pytest.mark.slow
def test_a_wrong_calibration_along_y_is_said(batio3: Analysis) -> None:
    (warning,) = (text for text in batio3.warnings if "along y a pixel is" in text)
    percent = float(re.search(r"([0-9.]+) % more", warning)[1])  # type: ignore[index]
    assert percent == pytest.approx(5.4, abs=0.5)
    assert not any("along x a pixel is" in text for text in batio3.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("half", ["left", "right", "top", "bottom"])
def test_half_of_batio3_says_the_same(batio3: Analysis, half: str) -> None:
    ny, nx = batio3.micrograph.shape
    everything, x, y = slice(None), nx // 2, ny // 2
    part, corner = {
        "left": ((everything, slice(0, x)), (0, 0)),
        "right": ((everything, slice(x, None)), (x, 0)),
        "top": ((slice(0, y), everything), (0, 0)),
        "bottom": ((slice(y, None), everything), (0, y)),
    }[half]
    found = barium_titanate(part)
    difference = same_cells(batio3, found, corner)
    assert len(difference) > 450
    assert np.abs(difference.mean(axis=0)).max() < 0.5
    assert np.sqrt((difference**2).mean()) < 0.7
    assert summary(found)["displacement"]["p_value"] < 0.01
    assert any("along y a pixel is" in text for text in found.warnings)


def test_two_detectors_of_one_area() -> None:
    """Cations from ADF, oxygen from ABF, and a column at every place of the lattice inside the frame."""
    found = there(PAIR).analyse()
    columns, lattice = found.columns, found.lattice
    assert columns is not None and lattice is not None
    origin = np.array(columns.signals)[columns.signal]
    assert set(origin[columns.of_site("O")]) == {"ABF"} and set(origin[~columns.of_site("O")]) == {"HAADF"}
    ny, nx = found.micrograph.shape
    hk = np.stack(np.meshgrid(np.arange(-60, 60), np.arange(-60, 60), indexing="ij"), axis=-1).reshape(-1, 2)
    for site, name in enumerate(columns.sites):
        xy = lattice.position(hk, np.full(len(hk), site))
        wanted = {tuple(one) for one in hk[((xy > 5) & (xy < [nx - 6, ny - 6])).all(axis=1)].tolist()}
        listed = {tuple(one) for one in columns.hk[columns.of_site(name)].tolist()}
        assert len(wanted) > 80 and wanted <= listed
    usable = columns.usable & columns.of_site("O")
    assert usable.sum() > 100
    field = found.displacement
    assert field is not None and np.hypot(*field.uv[field.valid].mean(axis=0)) < 3


def test_a_stack_is_aligned_and_averaged() -> None:
    image = there(STACK).read()
    assert list(image.signals) == ["ABF"] and image.frames == 5
    assert image.frame_shifts_px is not None and image.frame_shifts_px.shape == (5, 2)
    assert np.hypot(*np.diff(image.frame_shifts_px, axis=0).T).max() < 10
    aligned = STACK.analyse()
    assert aligned.columns is not None
    assert set(aligned.columns.signals) == {"ABF"}
    assert (aligned.columns.of_site("Sr") & aligned.columns.usable).sum() > 180
    plain = np.nanstd(STACK.read(frames="average").signals["ABF"].image)
    assert np.nanstd(image.signals["ABF"].image) > 1.05 * plain, "aligned columns have more contrast than blurred ones"


def test_four_detectors_of_which_three_are_empty() -> None:
    image = there(VELOX).read()
    assert list(image.signals) == ["HAADF"]
    said = " ".join(image.notes)
    for name in ("DF2", "DF4", "BF"):
        assert re.search(rf"\({name}\): all pixels have the same value; left out", said)
    recipe = stemdisp.recipe_for(VELOX.material, VELOX.zone)
    with pytest.raises(CalibrationError, match="87370.8 pm, which is outside 0.5 to 200 pm"):
        require_pixel_size(image, recipe)
    with pytest.raises(StageError, match="no lattice found"):
        stemdisp.analyse(image, recipe)


def test_a_unit_with_an_underscore_and_another_crystal() -> None:
    image = there(NCEM).read()
    assert image.pixel_size is not None and image.pixel_size.x_pm == pytest.approx(12.2465, abs=1e-3)
    with pytest.raises(StageError, match=r"planes in the image are 2\.9\d and 2\.8\d A at 90 deg, those of KTaO3 "):
        NCEM.analyse()
