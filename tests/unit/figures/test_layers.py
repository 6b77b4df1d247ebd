"""Profiles by layer."""

from dataclasses import replace

import numpy as np
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from stemdisp.figures.composites import MOST_EXTERNAL, compose_layers
from stemdisp.figures.layers import draw_distance_axis, draw_external, draw_oxygen_contrast, draw_profile
from stemdisp.figures.style import VACANCY_COLOUR


def test_points_and_error_bars_are_the_profile(kto):
    ax = Figure().subplots()
    draw_profile(ax, kto.profile, bulk_from=7)
    containers = {container.get_label(): container for container in ax.containers}
    line, _, (bars,) = containers["parallel to the interface"]
    np.testing.assert_allclose(line.get_ydata(), kto.profile.parallel_pm)
    lengths = np.array([segment[1, 1] - segment[0, 1] for segment in bars.get_segments() if len(segment)])
    good = np.isfinite(kto.profile.parallel_pm)
    np.testing.assert_allclose(lengths[np.isfinite(lengths)], 2 * kto.profile.parallel_sem_pm[good])


def test_the_reference_region_is_shaded_and_named(kto):
    ax = Figure().subplots()
    draw_profile(ax, kto.profile, bulk_from=7)
    assert "reference (bulk)" in [text.get_text() for text in ax.get_legend().get_texts()]
    ax = Figure().subplots()
    draw_profile(ax, kto.profile)
    assert "reference (bulk)" not in [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_distance_axis_agrees_with_the_layers(kto):
    ax = Figure().subplots()
    draw_profile(ax, kto.profile)
    top = draw_distance_axis(ax, kto.profile)
    ax.figure.canvas.draw()
    to_distance = top._functions[0]
    np.testing.assert_allclose(to_distance(kto.profile.layer.astype(float)), kto.profile.distance_nm, atol=0.02)


def test_one_layer_has_no_distance_axis(kto):
    one = replace(kto.profile, **{name: value[:1] for name, value in kto.profile.arrays().items()})
    ax = Figure().subplots()
    draw_profile(ax, one)
    assert draw_distance_axis(ax, one) is None
    ax.figure.canvas.draw()


def test_layers_poor_in_oxygen_are_ringed(kto):
    ax = Figure().subplots()
    artists = draw_oxygen_contrast(ax, kto.profile, bulk_from=7)
    np.testing.assert_allclose(artists[1].get_offsets()[:, 0], [0, 1, 2])


def _vacancy_spans(ax):
    return [patch.get_x() for patch in ax.patches if same_color(patch.get_facecolor(), VACANCY_COLOUR)]


def test_an_external_profile_stands_at_its_own_distances(eels):
    ax = Figure().subplots()
    (one,) = eels.external
    (line,) = draw_external(ax, one, eels.profile, bulk_from=7)
    # Layers of the analysis made by hand are evenly spaced.
    layer = np.interp(one.distance_nm, eels.profile.distance_nm, eels.profile.layer)
    shown = (one.distance_nm > eels.profile.distance_nm[0]) & (one.distance_nm < eels.profile.distance_nm[-1])
    for place, value in zip(layer[shown], one.value[shown], strict=True):
        nearest = np.abs(line.get_xdata() - place).argmin()
        np.testing.assert_allclose(line.get_xydata()[nearest], [place, value], atol=0.05)
    (bars,) = ax.containers[0].lines[2]
    lengths = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(lengths, 2 * one.error[-len(lengths) :])
    assert ax.get_ylabel() == "Ti3+ share, EELS\n(%)"
    assert any("bars" in text.get_text() for text in ax.get_legend().get_texts())


def test_a_profile_without_errors_has_no_bars_and_without_distances_no_panel(eels):
    (one,) = eels.external
    ax = Figure().subplots()
    draw_external(ax, replace(one, error=np.full(len(one.value), np.nan), unit=""), eels.profile)
    assert not any("bars" in text.get_text() for text in ax.get_legend().get_texts())
    assert ax.get_ylabel() == "Ti3+ share, EELS"
    blind = replace(eels.profile, distance_nm=np.full(len(eels.profile), np.nan))
    assert draw_external(Figure().subplots(), one, blind) == []


def test_the_vacancy_window_is_shaded_in_all_panels(eels):
    figure = compose_layers(eels)
    assert len(figure.axes) == 3
    for ax in figure.axes:
        np.testing.assert_allclose(sorted(_vacancy_spans(ax)), [-0.5, 0.5, 1.5])


def test_profiles_that_cover_nothing_get_no_panel_and_many_are_counted(eels):
    (one,) = eels.external
    away = replace(one, at_layers=np.full(len(one.at_layers), np.nan))
    assert len(compose_layers(eels.having(external=(away,))).axes) == 2
    many = compose_layers(eels.having(external=(one,) * (MOST_EXTERNAL + 3)))
    assert len(many.axes) == 2 + MOST_EXTERNAL
    assert "3 more external profiles" in many.get_supxlabel()


def test_hostile_labels_are_drawn_as_text(eels):
    (one,) = eels.external
    hostile = replace(one, name="$\\frac{a$ <b>\n\x1b[31m\u202e" + "x" * 500, unit="$\\sum_{" + "y" * 90)
    figure = compose_layers(eels.having(external=(hostile,)))
    figure.canvas.draw()
    assert all(len(line) < 40 for line in figure.axes[2].get_ylabel().splitlines())


def test_many_points_become_a_line_with_a_band(eels):
    (one,) = eels.external
    distance = np.linspace(0, 3, 500)
    many = replace(one, distance_nm=distance, value=np.sin(distance), error=np.full(500, 0.1))
    ax = Figure().subplots()
    (line,) = draw_external(ax, many, eels.profile)
    assert line.get_marker() in ("", "None") and not ax.containers and len(ax.collections) == 1
    assert any("band" in text.get_text() for text in ax.get_legend().get_texts())
