"""Profiles by layer."""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from stemdisp.figures.layers import draw_distance_axis, draw_oxygen_contrast, draw_profile


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
