"""Clicks become entries of the recipe, or a sentence says why not."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import stemdisp
from stemdisp.crystal import project
from stemdisp.errors import RecipeError
from stemdisp.materials import KTaO3
from stemdisp.model.analysis import Analysis
from stemdisp.model.columns import Columns
from stemdisp.model.lattice import Lattice
from stemdisp.model.micrograph import InputFile, Micrograph, Signal
from stemdisp.recipe import Recipe, parse

SHA = "a" * 64


def crystal() -> tuple[Lattice, Columns]:
    """Five by five cells along [001], all columns where the lattice has them."""
    motif = project(KTaO3, (0, 0, 1))
    cell = motif.cell_A * 10 * [1, -1]
    lattice = Lattice(motif, np.array([100.0, 300.0]), cell[0], cell[1])
    site = np.repeat(np.arange(len(motif.sites)), 25)
    hk = np.tile(np.array(list(product(range(5), repeat=2))), (len(motif.sites), 1))
    return lattice, Columns.at(lattice.position(hk, site), motif.sites, ("HAADF",), site=site, hk=hk)


@pytest.fixture
def analysis() -> Analysis:
    """A perfect table without its K (2, 2), on an image of bright dots."""
    lattice, columns = crystal()
    y, x = np.mgrid[:360, :360]
    pixels = np.zeros(x.shape)
    for place in columns.xy:
        pixels += np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 18)
    image = Micrograph("a", {"HAADF": Signal("HAADF", pixels)}, inputs=(InputFile("a.tif", 1, SHA, "tifffile"),))
    listed = columns.take(~(columns.of_site("K") & (columns.hk == 2).all(axis=1)))
    return Analysis(image, Recipe(), columns=listed, lattice=lattice)


def test_an_added_column_snaps_to_its_maximum(analysis: Analysis) -> None:
    _, columns = crystal()
    x, y = columns.xy[columns.of_site("K") & (columns.hk == 2).all(axis=1)][0]
    entry = stemdisp.entry_for(analysis, "add", xy=(x + 4, y - 5))
    assert (entry.sha256, entry.site, entry.h, entry.k) == (SHA, "K", 2, 2)
    assert entry.x == pytest.approx(x, abs=0.6) and entry.y == pytest.approx(y, abs=0.6)


def test_the_others_name_the_row(analysis: Analysis) -> None:
    row = 3
    h, k = analysis.columns.hk[row].tolist()
    site = analysis.columns.sites[analysis.columns.site[row]]
    moved = stemdisp.entry_for(analysis, "move", row=row, xy=(1.5, 2.5))
    assert (moved.site, moved.h, moved.k, moved.x, moved.y) == (site, h, k, 1.5, 2.5)
    assert stemdisp.entry_for(analysis, "delete", row=row).action == "delete"
    there = stemdisp.entry_for(analysis, "reassign", row=row, to=("Ta", 1, 1))
    assert (there.to_site, there.to_h, there.to_k) == ("Ta", 1, 1)
    x, y = analysis.columns.xy[row]
    assert stemdisp.entry_for(analysis, "reassign", row=0, xy=(x + 3, y)).to_h == h


def test_entries_survive_toml(analysis: Analysis) -> None:
    import tomllib

    from stemdisp.io.recipe_toml import to_toml

    entries = (
        stemdisp.entry_for(analysis, "reassign", row=1, to=("Ta", 1, 1)),
        stemdisp.entry_for(analysis, "move", row=2, xy=(1 / 3, 1e-9)),
    )
    recipe = Recipe().model_copy(update={"edits": entries})
    assert parse(tomllib.loads(to_toml(recipe))) == recipe


@pytest.mark.parametrize(
    ("action", "given", "said"),
    [
        ("add", {}, "give xy"),
        ("move", {"row": 1}, "give xy"),
        ("delete", {}, "row of a column"),
        ("delete", {"row": 10**6}, "row of a column"),
        ("reassign", {"row": 1}, "give xy, a place in px, or to"),
        ("add", {"xy": (-900.0, 20.0)}, "not on the image"),
    ],
)
def test_what_is_missing_is_said(analysis: Analysis, action: str, given: dict, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        stemdisp.entry_for(analysis, action, **given)


def test_a_column_that_is_listed_is_not_added(analysis: Analysis) -> None:
    x, y = analysis.columns.xy[3]
    with pytest.raises(RecipeError, match="listed already"):
        stemdisp.entry_for(analysis, "add", xy=(x, y))


def test_an_image_without_a_file_has_no_edits(analysis: Analysis) -> None:
    image = Micrograph("a", analysis.micrograph.signals)
    with pytest.raises(RecipeError, match="not read from a file"):
        stemdisp.entry_for(analysis.having(micrograph=image), "delete", row=1)
