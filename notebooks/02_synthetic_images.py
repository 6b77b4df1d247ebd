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
# # Synthetic images
#
# `stemdisp.simulate` makes an image of which everything is known. A `stemdisp.Scene` says what it shows: crystal, dose,
# how columns look, how they are displaced. So one can see what a number is worth before believing it. Equal scenes
# give equal pixels.

# %%
import json
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import stemdisp
from stemdisp.synthetic import Dose, Edge, Look, Motion, Scene, View

recipe = stemdisp.recipe_for("KTaO3", "1-10")
look, dose = Look(tail=0.1), Dose(peak_counts=2000, background_counts=200)
motion, edge = Motion(parallel_pm=24.0, normal_pm=9.0, decay_layers=2.0), Edge(offset_A=14.0)
scene = Scene(view=View(shape=(420, 340)), look=look, dose=dose, motion=motion, edge=edge).facing(90.0)
changed = {
    "as it is": scene,
    "20 times fewer counts": replace(scene, dose=Dose(peak_counts=100, background_counts=10)),
    "tail of 25 %": replace(scene, look=Look(tail=0.25)),
    "tilt: 5 pm in HAADF": replace(scene, motion=replace(motion, tilt_pm={"HAADF": (5.0, 0.0)})),
    "8 % missing": replace(scene, missing=0.08),
}

# %% [markdown]
# The scene is an edge of KTaO3 (111) under an amorphous cap, beam along [1-10], with K displaced by 24 pm along the
# edge and 9 pm outwards in layer 0, decaying over two layers. Then one thing at a time is changed. A tilt of the
# crystal shifts K against Ta everywhere by as much.

# %%
figure, axes = plt.subplots(1, len(changed), figsize=(14, 4))
profiles = {}
for ax, (name, one) in zip(axes, changed.items(), strict=True):
    image, truth = stemdisp.simulate(one)
    analysis = stemdisp.analyse(image, recipe, device="cpu")
    profiles[name] = analysis.profile
    field = analysis.displacement
    ax.imshow(image.signals["HAADF"].image, cmap="gray")
    ax.quiver(*field.xy.T, *field.uv.T, color="gold", angles="xy", scale_units="xy", scale=1, width=0.006)
    ax.set(title=name, xticks=[], yticks=[])
    error = np.sqrt(np.nanmedian(field.cov[:, 0, 0]))
    print(f"{name:21} {field.valid.sum():3} of {len(field)} cells, error {error:4.1f} pm, subtracted {field.offset} pm")
plt.show()

# %%
for shift, (name, profile) in enumerate(profiles.items()):
    plt.errorbar(profile.layer + 0.1 * shift, profile.parallel_pm, profile.parallel_sem_pm, fmt="o", ms=3, label=name)
plt.plot(24 * np.exp(-np.arange(13) / 2), "k-", lw=0.8, label="true")
plt.gca().set(xlabel="layer", ylabel="along the edge (pm)", xlim=(-0.5, 12))
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# What a tilt or anything else shifts everywhere is measured deep below the edge, subtracted and printed: so the layers
# of the tilted crystal are where they should be. Fewer counts make larger errors, which the bars say. A missing column
# takes along the cells that need it.
#
# ## The multislice image beside it
#
# A scene is a sum of profiles that the fit knows. The images of `sample_data` come from multislice instead, and
# `truth.json` says what is true in them. There K is displaced, and the image of its column, which holds oxygen too,
# by a share of that: this is the truth of a column's image.

# %%
image = stemdisp.read("../sample_data/interface/KTO111_1e5_HAADF.tif", "../sample_data/interface/KTO111_1e5_ABF.tif")
analysis = stemdisp.analyse(image, recipe, device="cpu")
with open("../sample_data/truth.json", encoding="utf-8") as file:
    known = {key: np.array(value) for key, value in json.load(file)["images"]["KTO111"]["columns"].items()}
measured, field = analysis.displacement.valid, analysis.displacement
found = analysis.columns.xy[analysis.cells.moving[measured]]
row = np.hypot(known["x_px"] - found[:, :1], known["y_px"] - found[:, 1:]).argmin(axis=1)
true_pm = np.stack([known["HAADF_dx_pm"][row], known["HAADF_dy_pm"][row]], axis=1)
error, std = field.uv[measured] - true_pm, np.sqrt(field.cov[measured][:, [0, 1], [0, 1]])
print(
    f"{len(error)} cells, mean error (x, y) {error.mean(axis=0).round(1)} pm, rms {np.sqrt(np.mean(error**2)):.1f} pm,"
)
print(
    f"stated {np.sqrt(np.mean(std**2)):.1f} pm; {np.mean(np.abs(error) < 2 * std):.0%} within two standard deviations;"
)
print(
    f"what was taken for bulk is displaced by {true_pm[field.offset_cells[measured]].mean(axis=0).round(1)} pm in truth"
)
plt.plot(analysis.interface.layer[measured], error, "o", ms=3, label=("x", "y"))
plt.gca().set(xlabel="layer", ylabel="measured - true (pm)")
plt.legend()
plt.show()

# %% [markdown]
# Where the displacement dies away slowly, the mean of the deeper layers is not zero, and it is subtracted all the same.
# That is part of the mean error here, and no standard deviation holds it.
