"""What is said of layers: errors that cover, displacements that are found and none that is not there, decay, vacancies.

The same over 300 images is printed by ``make bench``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from layer_statistics import Layered, layered
from measure import sample_facts, sample_image

import stemdisp
from stemdisp.model.analysis import Analysis

RECIPE = stemdisp.recipe_for("KTaO3", "1-10")


@cache
def pairs() -> Layered:
    """Pairs of HAADF and ABF."""
    return layered(range(500, 516), signals=("HAADF", "ABF"))


@cache
def alone() -> Layered:
    """HAADF alone, fainter."""
    return layered(range(600, 620), peak_counts=600.0)


@pytest.mark.parametrize("images", [pairs, alone])
def test_errors_cover(images) -> None:
    found = images()
    std = np.sqrt(0.68 * 0.32 / found.pull.size)
    print(f"{found.coverage:.3f} of {found.pull.size} means within one standard error")
    assert abs(found.coverage - 0.68) < 0.04 + 2 * std


@pytest.mark.parametrize("images", [pairs, alone])
def test_displacements_are_found_and_none_else(images) -> None:
    found = images()
    print(f"{found.found:.3f} of displaced layers found, {found.false:.4f} of others called displaced")
    assert found.found >= 0.95 and found.false <= 0.05


@pytest.mark.parametrize("images", [pairs, alone])
def test_the_decay_length_is_right(images) -> None:
    length, std, true = images().decay_nm.T
    known = np.isfinite(length)
    right = np.abs(length - true)[known] < np.maximum(0.2 * true, 2 * std)[known]
    assert known.mean() >= 0.9 and right.mean() >= 0.9


def test_layers_poor_in_oxygen_are_named() -> None:
    found = pairs()
    assert found.poor[found.truly_poor].mean() >= 0.95 and found.poor[~found.truly_poor].mean() <= 0.05
    assert not alone().poor.any()  # HAADF says nothing of oxygen


@cache
def of_sample(dose: str) -> Analysis:
    """The multislice pair of an interface."""
    return stemdisp.analyse(sample_image(f"KTO111_{dose}", "HAADF", "ABF"), RECIPE)


@pytest.mark.parametrize("dose", ["clean", "1e5"])
def test_multislice_vacancies_are_named_from_a_fraction_of_a_fifth(dose) -> None:
    profile = of_sample(dose).profile
    columns = sample_facts()["images"]["KTO111"]["columns"]
    share = np.array([np.nan if one is None else one for one in columns["o_occupancy"]], dtype=float)
    oxygen = np.array([site.startswith("O") for site in columns["site"]])
    for row, layer in enumerate(profile.layer.tolist()):
        of_layer = share[oxygen & (np.array(columns["layer"]) == layer)]
        missing = 1 - float(np.nanmean(of_layer))
        if missing >= 0.2 or missing == 0:
            assert (profile.vacancy_rich[row] == 1) == (missing > 0), f"layer {layer}: {missing:.2f} missing"
            assert profile.o_contrast[row] == pytest.approx(1 - missing, abs=0.1)


@pytest.mark.parametrize("dose", ["clean", "1e5"])
def test_multislice_decay(dose) -> None:
    found = of_sample(dose)
    assert found.decay is not None
    columns = sample_facts()["images"]["KTO111"]["columns"]
    layer, moved = np.array(columns["layer"]), np.hypot(*(np.array(columns[f"HAADF_d{a}_pm"], float) for a in "xy"))
    rows = [n for n in range(6) if (moved[layer == n] > 0).any()]
    size = np.array([moved[(layer == n) & (moved > 0)].mean() for n in rows])
    length = -found.interface.spacing_pm / 1000 / np.polyfit(rows, np.log(size), 1)[0]
    print(f"{found.decay.length_nm:.3f} +- {found.decay.length_std_nm:.3f} nm, true {length:.3f}")
    assert abs(found.decay.length_nm - length) < max(0.2 * length, 2 * found.decay.length_std_nm)


@pytest.mark.parametrize("dose", ["clean", "1e5"])
def test_multislice_atoms_move_as_they_were_moved(dose) -> None:
    """K itself, of which its column with O shows three quarters, within 10 % or two standard errors."""
    found = of_sample(dose)
    profile = found.profile
    columns = sample_facts()["images"]["KTO111"]["columns"]
    layer, content = np.array(columns["layer"]), np.array(columns["content"])
    moved = np.stack([np.array([v or 0.0 for v in columns[f"k_d{axis}_pm"]], dtype=float) for axis in "xy"], axis=1)
    judged = 0
    for row, number in enumerate(profile.layer.tolist()):
        own = (layer == number) & np.array(["K" in one for one in content])
        true = moved[own].mean(axis=0)
        if np.hypot(*true) < 10:
            continue
        for name, direction in (("normal", found.interface.normal), ("parallel", found.interface.parallel)):
            measured = getattr(profile, f"atom_{name}_pm")[row]
            error = getattr(profile, f"atom_{name}_sem_pm")[row]
            print(f"layer {number}, {name}: {measured:.1f} +- {error:.1f} pm, true {true @ direction:.1f}")
            assert abs(measured - true @ direction) < max(0.1 * np.hypot(*true), 2 * error)
            judged += 1
    assert judged >= 4
