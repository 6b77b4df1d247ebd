"""Maps over the image: what is drawn where."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from stemdisp.figures.columns import draw_columns
from stemdisp.figures.components import draw_component
from stemdisp.figures.image import LARGEST_SIDE_PX, draw_image
from stemdisp.figures.polarization import draw_polarization
from stemdisp.figures.vectors import draw_interface, draw_layer_numbers, draw_vectors, long_vector
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
