"""The multislice pair and the [001] image: what the analysis finds is what the simulation put there.

The truth is the centroid of each column's image (``sample_data/SOURCES.md``): a K column holds oxygen that stays, so
its
image moves by a share of the K displacement, calibrated per signal.  The images hold only a few phonon
configurations, whose
scatter a single column keeps even without noise; layer means are therefore judged against 2 pm or two standard errors
without noise, and 4 pm or two standard errors at 1e5 electrons per square angstrom.
"""

from __future__ import annotations

import numpy as np
import pytest
from families import on_cells, on_multislice
from measure import (
    Known,
    beyond,
    displacements,
    interface_error,
    invented,
    layer_means,
    misnumbered,
    missed,
    sample_facts,
    sample_image,
    sample_known,
    slope,
)
from multislice_family import JUDGING_SEEDS, RIM_PX, SOURCES_A, periods, resharpened

import stemdisp
from stemdisp.flags import Flag
from stemdisp.model.analysis import Analysis

CATIONS = ("K", "Ta")
LAYER_PM = {"clean": 2.0, "1e5": 4.0}
CASES = [(dose, signals) for dose in LAYER_PM for signals in (("HAADF", "ABF"), ("HAADF",), ("ABF",))]


@pytest.fixture(scope="module", params=CASES, ids=[f"{dose}-{'+'.join(signals)}" for dose, signals in CASES])
def pair(request: pytest.FixtureRequest) -> tuple[str, Analysis, Known]:
    """Dose, analysis and truth of the pair, and of each of its images alone."""
    dose, signals = request.param
    analysis = stemdisp.analyse(sample_image(f"KTO111_{dose}", *signals), stemdisp.recipe_for("KTaO3", "1-10"))
    return dose, analysis, sample_known("KTO111", signals[0])


def test_all_cations_found(pair: tuple[str, Analysis, Known]) -> None:
    """Recall of K and Ta is 100 %, each under its own name; none is invented, least of all in the amorphous cap."""
    _, analysis, truth = pair
    assert missed(analysis, truth, CATIONS) == []
    assert invented(analysis, truth, CATIONS) == []


def test_interface(pair: tuple[str, Analysis, Known]) -> None:
    """Within half a (111) layer of where the crystal ends, the normal within a degree, every cell in its own layer."""
    _, analysis, truth = pair
    assert analysis.interface is not None and analysis.interface.plane == (1, 1, 1)
    away, turned = interface_error(analysis, truth)
    assert abs(away) < 0.5 * analysis.interface.spacing_pm
    assert turned < 1
    assert misnumbered(analysis, truth) == []
    assert displacements(analysis, truth).layer.min() == 0


def test_layer_means(pair: tuple[str, Analysis, Known]) -> None:
    """Every layer's mean displacement is the true one, the depth of the decay included."""
    dose, analysis, truth = pair
    means = layer_means(analysis, truth)
    assert [m.layer for m in means] == list(range(len(means))) and len(means) >= 12
    configurations = sample_facts()["phonon_configurations"]
    assert beyond(means, LAYER_PM[dose], sems=2) == [], f"with {configurations} phonon configurations"


def test_slope(pair: tuple[str, Analysis, Known]) -> None:
    """Displacements are neither shrunk nor exaggerated."""
    _, analysis, truth = pair
    found = slope(displacements(analysis, truth))
    assert found.value == pytest.approx(1, abs=0.1), f"slope {found.value:.3f} +- {found.std:.3f}"


def test_table_speaks_the_same_numbers(pair: tuple[str, Analysis, Known]) -> None:
    """The profile's rows are the means of the cells that were compared here."""
    _, analysis, truth = pair
    assert analysis.profile is not None
    for mean in layer_means(analysis, truth):
        row = int(np.flatnonzero(analysis.profile.layer == mean.layer)[0])
        assert analysis.profile.n[row] == mean.n
        assert analysis.profile.normal_pm[row] == pytest.approx(mean.measured[0], abs=0.05)
        assert analysis.profile.parallel_pm[row] == pytest.approx(mean.measured[1], abs=0.05)


def test_signals_agree_on_the_pair() -> None:
    """In the pair, cations come from HAADF and oxygen from ABF, and the signals are not shifted against each other."""
    analysis = stemdisp.analyse(sample_image("KTO111_clean", "HAADF", "ABF"), stemdisp.recipe_for("KTaO3", "1-10"))
    assert analysis.columns is not None
    origin = np.array(analysis.columns.signals)[analysis.columns.signal]
    assert set(origin[analysis.columns.of_site("O")]) == {"ABF"}
    assert set(origin[~analysis.columns.of_site("O")]) == {"HAADF"}
    assert np.hypot(*analysis.signal_shift_px["ABF"]) < 0.1


@pytest.mark.parametrize("name", ["KTO111_clean", "KTO001"])
def test_a_sharper_source_blurred_again_is_the_image(name: str) -> None:
    image = sample_image(name, "HAADF").signals["HAADF"].image.astype(float)
    sharp, again = resharpened(image, periods()[name.split("_", maxsplit=1)[0]], 0.1, 0.8, 0.5)
    assert np.abs(again - image).max() < 1e-6 * image.max()
    assert sharp.max() > 1.2 * image.max() and sharp.min() > 0


def test_a_sharper_source_does_not_depend_on_what_the_frame_leaves_out() -> None:
    """A fifth of the period is cut off: but for the rim the same image follows."""
    image = sample_image("KTO001", "HAADF").signals["HAADF"].image.astype(float)
    whole, _ = resharpened(image, periods()["KTO001"], 0.1, 0.8, 0.5)
    part, _ = resharpened(image[:280], periods()["KTO001"], 0.1, 0.8, 0.5)
    off = np.abs(part - whole[:280])[RIM_PX:-RIM_PX]
    assert off.max() < 1e-4 * whole.max()


TANTALUM_PM, POTASSIUM_PM, BULK_PM, SLOPE_OFF = 0.2, 0.8, 0.4, 0.03
COUNTED_PM = {0.5: 2.2, 0.8: 3.5}
"""Root mean square errors of a component without noise, length of the mean displacement of bulk, and the error of K at
1e5 electrons per square angstrom, per source."""


@pytest.mark.parametrize("source", SOURCES_A)
def test_tantalum_stays(source: float) -> None:
    assert on_multislice("KTO111", source).tantalum.rms <= TANTALUM_PM


@pytest.mark.parametrize("source", SOURCES_A)
def test_whole_columns_move_by_what_they_were_moved(source: float) -> None:
    """Bulk along [1-10] of which K and the O of its columns are displaced by 20 pm: no calibration enters."""
    found = on_cells(source)
    print(f"slope {found.whole}; K alone shows {found.alone} of its displacement")
    assert found.bulk < BULK_PM
    assert found.whole == pytest.approx((1, 1), abs=SLOPE_OFF)


@pytest.mark.parametrize("source", SOURCES_A)
def test_potassium_without_noise(source: float) -> None:
    """Against its two Ta, nothing subtracted, where the truth is the centroid (first moment) of the column's image."""
    found = on_multislice("KTO111", source)
    assert len(found.cells) > 100 and found.cells.rms <= POTASSIUM_PM


@pytest.mark.parametrize("source", SOURCES_A)
def test_potassium_with_noise(source: float) -> None:
    assert on_multislice("KTO111", source, seeds=JUDGING_SEEDS).cells.rms <= COUNTED_PM[source]


@pytest.mark.parametrize("source", SOURCES_A)
def test_slope_without_noise(source: float) -> None:
    """By first moments or by least squares: the two calibrations of K's share in its column differ by as much as the
    few phonon configurations let them, 0.03."""
    found = [on_multislice("KTO111", source, by=by).slope for by in ("first moment", "least squares")]
    print("first moment {0.value:.3f} +- {0.std:.3f}, least squares {1.value:.3f} +- {1.std:.3f}".format(*found))
    assert min(abs(one.value - 1) for one in found) <= SLOPE_OFF


@pytest.mark.parametrize("source", SOURCES_A)
@pytest.mark.parametrize("name", ["KTO111", "KTO001"])
def test_bulk_stays(name: str, source: float) -> None:
    """The mean displacement of bulk, along [001] and deep below the interface along [1-10], nothing subtracted."""
    assert on_multislice(name, source).bulk < BULK_PM


def test_nothing_moves_in_001() -> None:
    """Undisplaced bulk: the mean displacement stays below 0.5 pm although nothing is subtracted."""
    analysis = stemdisp.analyse(sample_image("KTO001", "HAADF"), stemdisp.recipe_for("KTaO3", "001"))
    truth = sample_known("KTO001", "HAADF")
    assert missed(analysis, truth, CATIONS) == []
    assert invented(analysis, truth, CATIONS) == []
    assert analysis.interface is None and analysis.displacement is not None and analysis.displacement.offset is None
    cells = displacements(analysis, truth)
    assert len(cells) >= 60
    assert np.hypot(*cells.bias) < 0.5


@pytest.fixture(scope="module", params=(("HAADF",), ("HAADF", "ABF"), ("ABF",)), ids="+".join)
def along_112(request: pytest.FixtureRequest) -> tuple[tuple[str, ...], Analysis]:
    """KTaO3 along [11-2]: K and Ta are 1.15 A apart, every K is displaced by 20 pm."""
    signals = request.param
    return signals, stemdisp.analyse(sample_image("KTO112", *signals), stemdisp.recipe_for("KTaO3", "11-2"))


def test_every_column_along_112_is_found(along_112: tuple[tuple[str, ...], Analysis]) -> None:
    signals, analysis = along_112
    truth = sample_known("KTO112", signals[-1])
    assert missed(analysis, truth, CATIONS) == []
    assert invented(analysis, truth, CATIONS) == []


def test_unresolved_potassium_is_never_a_confident_number(along_112: tuple[tuple[str, ...], Analysis]) -> None:
    """In HAADF K is a shoulder of Ta: flagged, and nothing is said of it; where there is an ABF image it comes from
    there."""
    signals, analysis = along_112
    columns, field = analysis.columns, analysis.displacement
    assert columns is not None and field is not None
    potassium = columns.of_site("K")
    unresolved = (columns.flags & int(Flag.UNRESOLVED)) > 0
    assert not unresolved[columns.of_site("Ta")].any()
    if signals == ("HAADF",):
        fitted = potassium & ((columns.flags & int(Flag.EDGE)) == 0)
        assert unresolved[fitted].all()
        assert not field.valid.any() and not field.significant.any()
        assert analysis.polarization is not None and not analysis.polarization.valid.any()
        assert any("K columns are not resolved" in text for text in analysis.warnings)
        return
    assert not unresolved.any()
    assert {columns.signals[i] for i in np.unique(columns.signal[potassium])} == {"ABF"}
    cells = displacements(analysis, sample_known("KTO112", "ABF"))
    assert len(cells) > 100
    # A Gaussian is not quite the shape of an ABF column: the bias is 1.5 of 13.7 pm here.
    assert np.hypot(*cells.bias) < 2.0
    if len(signals) == 2:
        assert any("K columns are not resolved from their neighbours in HAADF" in text for text in analysis.warnings)
