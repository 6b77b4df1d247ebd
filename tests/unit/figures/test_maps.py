"""Maps over the image: what is drawn where."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from sides import on_side

from stemdisp.figures.columns import draw_columns
from stemdisp.figures.components import draw_component
from stemdisp.figures.composites import compose_components, compose_displacement, compose_polarization
from stemdisp.figures.image import LARGEST_SIDE_PX, draw_image
from stemdisp.figures.maps import compose_maps
from stemdisp.figures.polarization import draw_polarization
from stemdisp.figures.style import VACANCY_COLOUR
from stemdisp.figures.vectors import draw_interface, draw_layer_numbers, draw_vectors, long_vector
from stemdisp.figures.window import draw_windows
from stemdisp.model.fields import VectorField
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal


@pytest.fixture
def ax():
    return Figure(figsize=(6, 5)).subplots()


def test_arrows_start_at_the_cells_and_are_as_long_as_the_factor_says(ax, kto):
    drawn = draw_vectors(ax, kto.micrograph, kto.displacement)
    judged = kto.displacement.valid & kto.displacement.significant
    np.testing.assert_allclose(drawn.arrows.get_offsets(), kto.displacement.xy[judged])
    factor = drawn.px_per_unit * kto.micrograph.pixel_size.x_pm
    np.testing.assert_allclose(drawn.arrows.U, kto.displacement.uv[judged, 0] * factor / 12.0)
    assert f"×{factor:.3g}" in "".join(text.get_text() for text in ax.texts)


def test_arrows_keep_their_direction_where_pixels_are_not_square(ax, kto):
    stretched = kto.micrograph.with_pixel_size(PixelSize(10.0, 20.0, "user"))
    drawn = draw_vectors(ax, stretched, kto.displacement)
    judged = kto.displacement.valid & kto.displacement.significant
    u, v = kto.displacement.uv[judged].T
    np.testing.assert_allclose(drawn.arrows.V / drawn.arrows.U, (v / 20.0) / (u / 10.0))
    assert ax.get_aspect() == 2.0


def test_insignificant_arrows_are_faint_and_counted(ax, kto):
    drawn = draw_vectors(ax, kto.micrograph, kto.displacement)
    faint = int((kto.displacement.valid & ~kto.displacement.significant).sum())
    assert len(drawn.faint.get_offsets()) == faint and drawn.faint.get_alpha() < 0.5
    assert any(f"({faint} of" in text.get_text() for text in ax.texts)


def test_interface_line_and_layers_stand_where_they_are(ax, kto):
    draw_image(ax, kto.micrograph)
    line = draw_interface(ax, kto.interface, kto.micrograph)
    assert line.get_xy1()[1] == line.get_xy2()[1] == pytest.approx(kto.interface.point[1])
    labels = draw_layer_numbers(ax, kto.interface, kto.micrograph)
    assert labels
    for label in labels:
        cells = kto.interface.layer == int(label.get_text())
        depth_px = kto.interface.distance_nm[cells].mean() * 1000 / 12.0
        assert label.get_position()[1] == pytest.approx(kto.interface.point[1] + depth_px)


def test_polarization_refuses_displacements(ax, kto):
    with pytest.raises(ValueError, match="uC/cm2"):
        draw_polarization(ax, kto.micrograph, kto.displacement)


def test_components_are_projections_with_zero_in_the_middle(ax, kto):
    marks = draw_component(ax, kto.micrograph, kto.displacement, kto.interface.parallel, "parallel")
    valid = kto.displacement.valid
    np.testing.assert_allclose(marks.get_array(), kto.displacement.uv[valid, 0])
    low, high = marks.get_clim()
    assert low == -high < 0


def test_every_assigned_column_is_drawn_once(ax, kto):
    artists = draw_columns(ax, kto.micrograph, kto.columns)
    assert sum(len(artist.get_offsets()) for artist in artists) == int((kto.columns.site >= 0).sum())


def test_large_images_are_embedded_small_and_in_place(ax):
    pixels = np.zeros((3100, 4001), dtype=np.uint16)
    pixels[1550:1560, 2000:2010] = 1000
    drawn = draw_image(ax, Micrograph("large", {"HAADF": Signal("HAADF", pixels)}))
    ny, nx = drawn.get_array().shape
    assert max(ny, nx) <= LARGEST_SIDE_PX
    y, x = np.unravel_index(np.argmax(drawn.get_array()), (ny, nx))
    left, right, bottom, top = drawn.get_extent()
    assert left + (x + 0.5) * (right - left) / nx == pytest.approx(2004.5, abs=3)
    assert top + (y + 0.5) * (bottom - top) / ny == pytest.approx(1554.5, abs=3)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_images_without_contrast_are_drawn(ax, value):
    draw_image(ax, Micrograph("flat", {"HAADF": Signal("HAADF", np.full((20, 30), value))}), dimmed=True)
    ax.figure.canvas.draw()


def test_fields_of_zero_or_one_vector_have_a_scale(kto):
    field = VectorField("pm", np.array([[5.0, 5.0]]), np.zeros((1, 2)), np.zeros((1, 2, 2)))
    assert long_vector(field) > 0
    draw_vectors(Figure().subplots(), kto.micrograph, field)
    nothing = replace(field, uv=np.full((1, 2), np.nan))
    draw_vectors(Figure().subplots(), kto.micrograph, nothing)


def _drawn(figure):
    """Label of the colour bar -> marks."""
    marks = [one for ax in figure.axes for one in ax.collections if one.colorbar is not None and ax.images]
    return {one.colorbar.ax.get_xlabel(): one for one in marks}


def test_maps_of_the_lattice_show_what_there_is_around_the_bulk(kto):
    drawn = _drawn(compose_maps(kto))
    assert [label.split(" (")[0] for label in drawn] == [
        *("strain along the interface", "strain across the interface", "rotation, counter-clockwise"),
        *("intensity of K over bulk", "intensity of Ta over bulk", "bonds to O"),
    ]
    strain = kto.maps.e_normal_percent
    known = np.isfinite(strain)
    marks = drawn["strain across the interface (%)"]
    np.testing.assert_array_equal(marks.get_array(), strain[known])
    np.testing.assert_array_equal(marks.get_offsets(), kto.displacement.xy[known])
    for label, one in drawn.items():
        low, high = one.get_clim()
        middle = (low + high) / 2
        assert middle == pytest.approx(1 if "intensity" in label else 0 if "bonds" not in label else 141.0, abs=0.2)
        assert np.mean((one.get_array() >= low) & (one.get_array() <= high)) > 0.9


def test_without_an_interface_strain_is_drawn_along_the_axes_of_the_image(kto):
    labels = " ".join(_drawn(compose_maps(replace(kto, sides=()))))
    assert "along x" in labels and "along y" in labels and "xy" in labels and "interface" not in labels


def test_maps_without_a_value_are_left_out(kto):
    nothing = dict.fromkeys(kto.maps.arrays(), np.full(len(kto.cells), np.nan))
    assert compose_maps(replace(kto, maps=replace(kto.maps, **nothing))) is None
    assert compose_maps(replace(kto, maps=None)) is None


def _bands(ax):
    return [
        one for one in ax.patches if isinstance(one, Polygon) and same_color(one.get_facecolor()[:3], VACANCY_COLOUR)
    ]


@pytest.mark.parametrize("degrees", [0.0, 37.0, 90.0, 200.0])
@pytest.mark.parametrize("size", [PixelSize(12.0, 12.0, "file"), PixelSize(10.0, 20.0, "user")])
def test_the_window_lies_between_its_two_distances(ax, kto, degrees, size):
    normal = np.array([np.cos(np.radians(degrees)), -np.sin(np.radians(degrees))])
    edge = replace(kto.interface, normal=normal)
    draw_image(ax, kto.micrograph)
    band, bar = draw_windows(ax, edge, kto.micrograph.with_pixel_size(size), [(0.2, 0.9)])
    depth_nm = -((band.get_xy()[:4] - edge.point) * size.xy_pm) @ normal / 1000
    np.testing.assert_allclose(sorted(depth_nm), [0.2, 0.2, 0.9, 0.9])
    # Its ends lie beyond the image on both sides.
    ends = (band.get_xy()[:4] * size.xy_pm) @ edge.parallel
    corners = np.array([[x, y] for x in (0, 380) for y in (0, 340)]) * size.xy_pm @ edge.parallel
    assert ends.min() < corners.min() and ends.max() > corners.max()
    ax.figure.canvas.draw()
    assert bar.get_clip_path() is not None


def test_maps_show_the_vacancy_window_and_say_so(kto):
    window = kto.vacancy_windows_nm
    assert len(window) == 1
    for compose in (compose_displacement, compose_components, compose_polarization):
        figure = compose(kto)
        maps = [ax for ax in figure.axes if ax.images]
        assert maps and all(len(_bands(ax)) == 1 for ax in maps if ax.get_xlim()[1] > 2)
        written = [text.get_text() for ax in maps for text in ax.texts] + [figure.get_supxlabel()]
        assert any("vacancy-rich" in text for text in written)


def test_without_vacancies_maps_have_no_window(kto):
    full = on_side(kto, profile=replace(kto.profile, vacancy_rich=np.zeros(len(kto.profile))))
    assert full.vacancy_windows_nm == ()
    for compose in (compose_displacement, compose_components, compose_polarization):
        figure = compose(full)
        written = [text.get_text() for ax in figure.axes for text in ax.texts] + [figure.get_supxlabel()]
        assert not any(_bands(ax) for ax in figure.axes) and not any("vacancy" in text for text in written)
