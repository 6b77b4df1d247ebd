"""Every figure an analysis supports, as files."""

import re
from dataclasses import replace

import pytest

from stemdisp.figures.save import FIGURES, save_figures


@pytest.fixture(scope="module")
def saved(kto, tmp_path_factory):
    return save_figures(kto, tmp_path_factory.mktemp("figures"))


def test_png_and_svg_of_every_figure(saved):
    one_side = [name for name in FIGURES if name != "layers_beyond"]
    assert [path.name for path in saved] == [f"{name}.{kind}" for name in one_side for kind in ("png", "svg")]
    assert all(path.stat().st_size < 2_000_000 for path in saved)


def test_digest_and_assumption_stand_on_the_figures(saved, kto):
    for path in saved:
        if path.suffix == ".svg":
            text = re.sub(r"\s+", " ", " ".join(re.findall(r">([^<]+)<", path.read_text())))
            assert kto.recipe.digest() in text
            if path.stem in ("displacement", "components", "layers", "directions"):
                assert kto.displacement.assumption in text
            if path.stem == "polarization":
                assert "Born effective charge of +1.156 e" in text and "moving_site" in text


@pytest.mark.parametrize("signals", [1, 2])
def test_nothing_is_cut_off(eels, signals):
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    from stemdisp.figures.style import STYLE

    micrograph = replace(eels.micrograph, signals=dict(list(eels.micrograph.signals.items())[:signals]))
    for name, compose in FIGURES.items():
        with rc_context(STYLE):
            # A second side that says what the first does.
            figure = compose(replace(eels, micrograph=micrograph, sides=eels.sides * 2))
            figure.draw_without_rendering()
            FigureCanvasAgg(figure).draw()
            titles = [child.get_window_extent() for child in figure.get_children() if isinstance(child, Text)]
            for box in [*titles, *(ax.get_tightbbox() for ax in figure.axes)]:
                assert box.x0 >= -1 and box.x1 <= figure.bbox.width + 1, name
                assert box.y0 >= -1 and box.y1 <= figure.bbox.height + 1, name


def test_figures_of_absent_nouns_are_skipped(kto, tmp_path):
    early = replace(kto, displacement=None, polarization=None, sides=(), cells=None, by_signal={}, quality=None)
    assert [path.name for path in save_figures(early, tmp_path / "a")] == ["columns.png", "columns.svg"]
    assert save_figures(replace(early, columns=None), tmp_path / "b") == []


def test_same_analysis_same_bytes(saved, kto, tmp_path):
    only = replace(kto, polarization=None, displacement=None, columns=None)
    first, second = save_figures(only, tmp_path / "a"), save_figures(only, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_no_global_state_is_left(kto, tmp_path):
    import sys

    import matplotlib

    before = dict(matplotlib.rcParams)
    save_figures(replace(kto, polarization=None, displacement=None, columns=None), tmp_path)
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
