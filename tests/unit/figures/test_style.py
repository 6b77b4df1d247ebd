"""Text on figures and round numbers."""

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from stemdisp.figures.scalebar import draw_scalebar, round_length
from stemdisp.figures.style import STYLE, draw_small_print, draw_title, plain, shorten

HOSTILE = "$\\frac{<script>[red]=cmd $x^\n\x1b[31m\u753b\U0001f600" + "long" * 60


def test_names_cannot_be_read_as_mathematics_or_break_lines(kto):
    figure = Figure(layout="constrained")
    figure.subplots()
    title = draw_title(figure, "Columns", HOSTILE)
    draw_small_print(figure, kto, HOSTILE)
    figure.canvas.draw()
    assert "\n" not in title.get_text() and not title.get_parse_math()
    assert len(title.get_text()) < 80


def test_small_print_has_the_digest_and_fits_the_width(kto):
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3), layout="constrained")
        figure.subplots()
        text = draw_small_print(figure, kto, "assumed " * 60)
        figure.canvas.draw()
        box = text.get_window_extent()
    assert kto.recipe.digest() in text.get_text()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_plain_and_shorten_keep_what_is_short_and_latin():
    assert plain("KTO \u03bcm \u00c5") == "KTO \u03bcm \u00c5"
    assert shorten("short") == "short"
    assert len(shorten("x" * 500, 61)) == 61


@pytest.mark.parametrize("at_most", [0.0013, 0.19, 1.0, 4.99, 5.0, 730.0])
def test_round_lengths_are_below_and_not_far(at_most):
    length = round_length(at_most)
    assert at_most / 2.51 < length <= at_most * (1 + 1e-9)


def test_scalebar_has_its_length_in_px(kto):
    ax = Figure().subplots()
    bar = draw_scalebar(ax, kto.micrograph)
    assert bar is not None
    # 22 % of 380 px of 12 pm is 1.003 nm, so the bar is 1 nm = 1000 / 12 px
    assert bar.size_bar.get_children()[0].get_width() == pytest.approx(1000 / 12)


def test_scalebar_needs_a_pixel_size(kto):
    assert draw_scalebar(Figure().subplots(), kto.micrograph.with_pixel_size(None)) is None
