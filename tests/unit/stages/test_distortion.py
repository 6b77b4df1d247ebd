"""The affine distortion as the reference columns show it, and where it is measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stemdisp.model.micrograph import PixelSize
from stemdisp.stages.cells import cells
from stemdisp.stages.displacement import displacement
from stemdisp.stages.distortion import distortion


def test_a_stretched_crystal_shows_its_stretch(crystal) -> None:
    lattice, columns = crystal(n=9)
    pulled = np.array([[1.015, 0.003], [0.003, 0.99]])
    moved = columns.replace(xy=columns.xy @ pulled)
    found = distortion(moved, cells(moved, lattice), lattice, None, PixelSize(10.0, 10.0, "file"))
    assert found is not None and found.where == "all of the crystal"
    np.testing.assert_allclose(found.matrix, pulled, atol=1e-9)
    np.testing.assert_allclose(found.undone(np.array([3.0, 4.0]) @ pulled), [3, 4], atol=1e-9)
    most, _ = found.principal
    assert abs(most - 0.0154) < 1e-3


def test_a_pixel_size_that_is_off_is_part_of_it(crystal) -> None:
    lattice, columns = crystal(n=9)
    found = distortion(columns, cells(columns, lattice), lattice, None, PixelSize(10.2, 10.0, "file"))
    assert found is not None
    np.testing.assert_allclose(found.matrix, np.diag([1.02, 1.0]), atol=1e-9)


def test_the_deeper_layers_tell_where_there_are_enough(kto) -> None:
    size, sides = kto.micrograph.pixel_size, kto.sides
    found = distortion(kto.columns, kto.cells, kto.lattice, sides[0].interface, size)
    assert found is not None and "and deeper" in found.where
    shallow = replace(sides[0].interface, layer=np.where(np.arange(len(kto.cells)) == 0, 1, -1))
    assert distortion(kto.columns, kto.cells, kto.lattice, shallow, size).where == "all of the crystal"


def test_the_recipe_decides_whether_it_is_taken_out(kto) -> None:
    size, recipe = kto.micrograph.pixel_size, kto.recipe.displacement
    pulled = np.array([[1.02, 0.003], [0.003, 0.99]])
    columns = kto.columns.replace(xy=kto.columns.xy @ pulled)
    found = cells(columns, kto.lattice)
    bent = distortion(columns, found, kto.lattice, None, size)
    straight = displacement(kto.columns, cells(kto.columns, kto.lattice), (), size, recipe)
    kept = displacement(columns, found, (), size, recipe, None, bent)
    taken = displacement(columns, found, (), size, recipe.model_copy(update={"correct": "affine"}), None, bent)
    assert kept.distortion is None and taken.distortion is not None and "taken out" in taken.assumption
    np.testing.assert_allclose(taken.uv, straight.uv, atol=1e-6)
    np.testing.assert_allclose(taken.straight(kept.uv), taken.uv, atol=1e-9)
