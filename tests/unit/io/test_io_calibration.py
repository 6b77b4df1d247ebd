"""Units as files spell them, and the names of detectors."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemdisp.io.calibration import PM_PER_UNIT, is_reciprocal, of_axes, unit_in_pm
from stemdisp.io.detectors import recognise
from stemdisp.io.formats import Axis
from stemdisp.io.text import one_line

KNOWN = {
    1e12: ["m", "meter", "Metres"],
    1e10: ["cm"],
    1e9: ["mm"],
    1e6: ["um", "\u00b5m", "\u03bcm", "u_m", "micron", "microns", "\\u00B5m"],
    1e3: ["nm", "n_m", "[n_m]", " nm ", "nanometer", "nanometers", "Nanometre", b"nm"],
    100: ["A", "\u00c5", "\u212b", "A\u030a", "Ang", "ang", "Angstrom", "angstroms", "\u00c5ngstr\u00f6m"],
    1: ["pm", "p_m", "picometer"],
}


@pytest.mark.parametrize(("pm", "text"), [(pm, text) for pm, texts in KNOWN.items() for text in texts])
def test_known_units(pm: float, text: str) -> None:
    assert unit_in_pm(text) == pm


@pytest.mark.parametrize("text", ["", "px", "pixel", "1/nm", "nm^-1", "s", "eV", "<undefined>", "NM2", "Mm", None, 3])
def test_no_units(text: object) -> None:
    assert unit_in_pm(text) is None


@given(st.text(max_size=30))
def test_any_text_is_a_length_or_none(text: str) -> None:
    assert unit_in_pm(text) in {*PM_PER_UNIT.values(), None}


@given(
    st.one_of(st.none(), st.floats(width=64)),
    st.one_of(st.none(), st.floats(width=64)),
    st.sampled_from(["nm", "A", "pm", "px", "", None]),
    st.sampled_from(["nm", "m", "um", None]),
)
def test_pixel_sizes_are_in_range_or_explained(
    x: float | None, y: float | None, x_unit: str | None, y_unit: str | None
) -> None:
    size, reason = of_axes(Axis("x", x, x_unit), Axis("y", y, y_unit))
    assert (size is None) == bool(reason)
    if size is not None:
        assert all(0.5 <= value <= 200 and math.isfinite(value) for value in size.xy_pm)
    assert reason.isprintable()


@given(st.floats(0.5, 200), st.floats(0.5, 200), st.sampled_from(["nm", "A", "pm", "um", "m"]))
def test_unit_does_not_matter(x_pm: float, y_pm: float, unit: str) -> None:
    pm = PM_PER_UNIT[unit]
    size, _ = of_axes(Axis("x", x_pm / pm, unit), Axis("y", y_pm / pm, unit))
    if size is not None:
        assert size.xy_pm == pytest.approx([x_pm, y_pm], rel=1e-12)
    else:  # only rounding at the ends of the range can push a size out
        assert min(x_pm, y_pm) < 0.5001 or max(x_pm, y_pm) > 199.99


@pytest.mark.parametrize(
    ("scale", "unit", "word"),
    [(5.0, "nm", "outside"), (-1.0, "nm", "-1 nm"), (1.0, "m", "outside"), (0.0093, None, "0.0093 without a unit")],
)
def test_traps_name_what_the_file_said(scale: float, unit: str | None, word: str) -> None:
    size, reason = of_axes(Axis("x", scale, unit), Axis("y", scale, unit))
    assert size is None
    assert word in reason


@pytest.mark.parametrize(
    ("title", "signal"),
    [
        *[(title, "HAADF") for title in ("HAADF", "haadf", "a_HAADF_1", "KTOHAADF2", "ADF", "MAADF", "LAADF", "DF4")],
        *[(title, "ABF") for title in ("ABF", "abf", "LAABF", "004_ABF_movie_21", "test_ABF_cropped")],
        *[(title, "BF") for title in ("BF", "x BF", "bf_2")],
    ],
)
def test_detectors(title: str, signal: str) -> None:
    found = recognise(title)
    assert found is not None and found[0] == signal


@pytest.mark.parametrize("title", ["", "image", "subframe", "DF2", "DF40", "roadframe", "HAADF-DF4-BF", "HAADF+ABF"])
def test_no_detector(title: str) -> None:
    assert recognise(title) is None


@given(st.text())
def test_one_line(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert len(shown) <= 200


@pytest.mark.parametrize(
    "text",
    [
        "1/nm",
        "1 / nm",
        "nm^-1",
        "nm-1",
        "nm**-1",
        "nm\u207b\u00b9",
        "[n_m^-1]",
        "/nm",
        "1/\u00c5",
        "A^{-1}",
        "1/m",
        "mrad",
        b"1/A",
    ],
)
def test_reciprocal_units(text: object) -> None:
    assert is_reciprocal(text)
    assert unit_in_pm(text) is None


@pytest.mark.parametrize("text", ["nm", "1/s", "eV", "px", "1/px", "", None, 3, "e-", "A", "counts-1", "/", "1/"])
def test_units_that_are_not_reciprocal(text: object) -> None:
    assert not is_reciprocal(text)


@given(st.text(max_size=40))
def test_any_text_is_reciprocal_or_not(text: str) -> None:
    assert is_reciprocal(text) in (True, False)
