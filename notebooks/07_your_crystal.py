# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A crystal and positions of your own
#
# Crystals that are no preset come from a CIF file, and positions that another program has fitted from a CSV file.
#
# ## A crystal from a CIF file
#
# The file is written here: SrTiO3, which is a preset too, so that both ways can be compared.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import stemdisp
from stemdisp.materials import MATERIALS
from stemdisp.synthetic import Dose, Motion, Scene, View

folder = Path(tempfile.mkdtemp())
CIF = """data_mine
_cell_length_a 3.905
_cell_length_b 3.905
_cell_length_c 3.905
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_IT_number 221
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Sr1 Sr 0.0 0.0 0.0
Ti1 Ti 0.5 0.5 0.5
O1 O 0.5 0.5 0.0
"""
(folder / "mine.cif").write_text(CIF)
recipe = stemdisp.recipe_from_cif(folder / "mine.cif", "001")
print(recipe.structure.moving, "is measured against", recipe.structure.reference)
print(*(f"{site.name}: {dict(site.atoms)} at ({site.x:g}, {site.y:g})" for site in recipe.structure.sites), sep="\n")

# %% [markdown]
# The recipe holds the projected cell and needs the file no more. Which site is measured against which is a choice:
# `moving=` and `reference=` name others. A simulated image, with Ti displaced by (8, -4) pm, stands in for yours:

# %%
motion, view = Motion(uniform_pm=(8.0, -4.0), jitter_pm=2.0), View(shape=(300, 300), rotation_deg=12.0)
scene = Scene(material=MATERIALS["SrTiO3"], zone=(0, 0, 1), motion=motion, view=view, dose=Dose(peak_counts=1000))
image, truth = stemdisp.simulate(scene)
mine = stemdisp.analyse(image, recipe, device="cpu")
preset = stemdisp.analyse(image, stemdisp.recipe_for("SrTiO3", "001"), device="cpu")
for name, analysis in (("CIF file", mine), ("preset", preset)):
    mean, field = analysis.headline.mean_pm, analysis.displacement
    print(f"{name:8}: Ti off Sr by ({mean[0]:.2f}, {mean[1]:.2f}) pm on average of {field.valid.sum()} cells")
print("polarization of the first:", mine.polarization)

# %% [markdown]
# Both say the same. The mean is off (8, -4) pm by about what displacements of 2 pm at random leave in so few cells. A
# CIF file has no charges, so there is no polarization until the recipe names a model with its number.
#
# ## Positions of your own
#
# A table with x and y, and if there are any with sites and standard deviations, in px or a unit of length. Here it has
# the true positions with an error of 2 pm, called A and B as another program may call them.

# %%
known = truth.present & np.isin(truth.site, ("Sr", "Ti"))
xy_nm = 0.01 * truth.xy[known] + np.random.default_rng(0).normal(0, 0.002, (known.sum(), 2))
labels = np.where(truth.site[known] == "Sr", "A", "B")
lines = [f"{x:.5f},{y:.5f},0.002,{label}" for (x, y), label in zip(xy_nm, labels, strict=True)]
(folder / "positions.csv").write_text("\n".join(["x_nm,y_nm,std_nm,site", *lines]))
print((folder / "positions.csv").read_text()[:90])
given = stemdisp.from_positions(
    folder / "positions.csv", recipe, shape=image.shape, pixel_size=10.0, sites={"A": "Sr", "B": "Ti"}
)
print(len(given.columns), "columns,", given.displacement.valid.sum(), "cells with a displacement")

# %% [markdown]
# With `shape` it is known where the image ends, so that an edge of the crystal can be told from the frame. Everything
# after the fit goes as for an image:

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 4.3), sharex=True, sharey=True)
for ax, (name, analysis) in zip(axes, (("from the image", mine), ("from positions", given)), strict=True):
    field, mean = analysis.displacement, analysis.headline.mean_pm
    ax.plot(*analysis.columns.xy[analysis.columns.of_site("Sr")].T, "o", color="0.75")
    ax.quiver(*field.xy.T, *field.uv.T, angles="xy", scale_units="xy", scale=0.6, width=0.005)
    ax.set(title=f"{name}: mean ({mean[0]:.1f}, {mean[1]:.1f}) pm", aspect="equal", ylim=(300, 0))
plt.show()
