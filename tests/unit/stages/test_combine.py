"""One table from two signals: oxygen's rows from ABF, the shift between them taken off."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.flags import Flag
from stemdisp.stages.combine import combine


@pytest.fixture
def pair(crystal):
    lattice, base = crystal((0, 0, 1), 6)
    rng = np.random.default_rng(0)
    other = base.replace(
        xy=base.xy + np.array([0.7, -0.3]) + rng.normal(0, 0.01, base.xy.shape),
        amplitude=-base.amplitude - 5,
        cov=base.cov * 2,
        flags=np.full(len(base), 64),
        signals=("ABF",),
    )
    return lattice, base, other.replace(flags=np.zeros(len(base), dtype=np.int64))


def test_rows_come_from_the_signal_that_shows_them(pair) -> None:
    lattice, base, other = pair
    found, shifts = combine({"HAADF": base, "ABF": other}, lattice, "HAADF", "ABF")
    oxygen = lattice.motif.oxygen[base.site]
    assert found.signals == ("HAADF", "ABF")
    np.testing.assert_array_equal(found.signal, oxygen.astype(int))
    np.testing.assert_array_equal(found.xy[~oxygen], base.xy[~oxygen])
    np.testing.assert_array_equal(found.amplitude, np.where(oxygen, other.amplitude, base.amplitude))
    np.testing.assert_array_equal(found.cov[oxygen], other.cov[oxygen])
    np.testing.assert_array_equal(found.cov[~oxygen], base.cov[~oxygen])
    np.testing.assert_array_equal(found.site, base.site)
    np.testing.assert_array_equal(found.hk, base.hk)
    assert shifts["HAADF"] == (0.0, 0.0)
    np.testing.assert_allclose(shifts["ABF"], [0.7, -0.3], atol=0.01)
    np.testing.assert_allclose(found.xy[oxygen], other.xy[oxygen] - shifts["ABF"])
    np.testing.assert_allclose(found.xy, base.xy, atol=0.06)


def test_the_shift_is_that_of_usable_reference_columns(pair) -> None:
    lattice, base, other = pair
    xy, flags = other.xy.copy(), other.flags.copy()
    xy[base.of_site("K")] += 3.0
    spoilt = np.flatnonzero(base.of_site("Ta"))[:20]
    xy[spoilt] += 9.0
    flags[spoilt] = 4
    _, shifts = combine({"HAADF": base, "ABF": other.replace(xy=xy, flags=flags)}, lattice, "HAADF", "ABF")
    np.testing.assert_allclose(shifts["ABF"], [0.7, -0.3], atol=0.02)


def test_one_signal_for_all_leaves_the_table_as_it_is(pair) -> None:
    lattice, base, other = pair
    found, shifts = combine({"HAADF": base, "ABF": other}, lattice, "HAADF", "HAADF")
    assert found is base and set(shifts) == {"HAADF", "ABF"}
    assert combine({"ABF": other}, lattice, "ABF", "ABF") == (other, {"ABF": (0.0, 0.0)})


def test_where_the_first_signal_does_not_resolve_a_site_the_other_gives_all(pair) -> None:
    """Its brighter neighbours are pulled towards the shoulder: their places are not used either."""
    lattice, base, other = pair
    blurred = base.replace(flags=np.where(base.of_site("K"), int(Flag.UNRESOLVED), 0))
    found, shifts = combine({"HAADF": blurred, "ABF": other}, lattice, "HAADF", "ABF")
    assert (found.signal == 1).all() and found.usable.all() and (found.flags == 0).all()
    np.testing.assert_allclose(found.xy, other.xy - shifts["ABF"])
    np.testing.assert_allclose(shifts["ABF"], [0.7, -0.3], atol=0.02)


def test_what_neither_resolves_stays_without_a_position_of_its_own(pair) -> None:
    lattice, base, other = pair
    flags = np.where(base.of_site("K"), int(Flag.UNRESOLVED), 0)
    both = {"HAADF": base.replace(flags=flags), "ABF": other.replace(flags=flags)}
    found, _ = combine(both, lattice, "HAADF", "ABF")
    np.testing.assert_array_equal(found.flags, flags)
    assert (found.signal[base.of_site("K")] == 0).all() and not found.usable[base.of_site("K")].any()
