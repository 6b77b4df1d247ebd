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
# # Many images
#
# `stemdisp.analyse_files` analyses files and folders, each image into a result folder of its own, and does not repeat
# what is done. The command line does the same: `stemdisp run raw -r recipe.toml -o results`. Three small images are
# made first, of KTaO3 along [001], with K displaced further from one to the next.

# %%
import importlib.util
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import stemdisp
from stemdisp.synthetic import Dose, Motion, Scene, View

folder = Path(tempfile.mkdtemp())
raw, results = folder / "raw", folder / "results"
raw.mkdir()
recipe = stemdisp.recipe_for("KTaO3", "001")
for number, moved_pm in enumerate((0.0, 10.0, 20.0)):
    motion, view = Motion(uniform_pm=(moved_pm, 0.0)), View(shape=(200, 200))
    scene = Scene(zone=(0, 0, 1), motion=motion, view=view, dose=Dose(peak_counts=1000), seed=number)
    image, _ = stemdisp.simulate(scene)
    np.save(raw / f"grain{number}_HAADF.npy", image.signals["HAADF"].image)

# %% [markdown]
# ## The first run, and the second
#
# A NumPy file has no pixel size, so the recipe takes it from the lattice. `jobs=0` works in this process, one image
# after the other; without it as many processes as there are processors share the work, with limits of time and memory.

# %%
recipe = recipe.with_values({"image": {"pixel_size_from": "lattice"}})
for run in ("first", "second"):
    for outcome in stemdisp.analyse_files([raw], recipe, results, jobs=0, figures=False):
        print(f"{run}: {outcome.name}: {outcome.status}; {outcome.sentence}")

# %% [markdown]
# The second run skips all three: input, recipe and outputs are the same. Of one image more, only that is analysed. Here
# it is one of nothing but noise:

# %%
np.save(raw / "empty_HAADF.npy", np.random.default_rng(0).poisson(50.0, (200, 200)))
for outcome in stemdisp.analyse_files([raw], recipe, results, jobs=0, figures=False):
    print(f"{outcome.name}: {outcome.status}; {outcome.sentence}")

# %% [markdown]
# One that fails leaves a folder with its reason, `failure.json`, and the others go on. It stands as failed until the
# input or the recipe changes.
#
# ## What is there
#
# On the command line `stemdisp status results` lists what is done and why the rest failed. In Python each folder is
# loaded:

# %%
for path in sorted(results.glob("grain*")):
    moved = stemdisp.load(path).headline
    std = np.sqrt(np.diag(moved.cov_pm))
    plt.errorbar(*moved.mean_pm, std[1], std[0], fmt="o", label=path.name)
plt.gca().set(xlabel="mean displacement to the right (pm)", ylabel="down (pm)", aspect="equal", ylim=(-4, 4))
plt.legend()
plt.show()

# %% [markdown]
# ## On a cluster
#
# With Dask (`pip install "stemdisp[dask]"`) workers on other machines do it: `scheduler="tcp://HOST:8786"`, or the file
# that a scheduler wrote. `"local"` starts workers on this machine, to try it out. The tables are the same, bit for bit:

# %%
if importlib.util.find_spec("distributed"):
    for outcome in stemdisp.analyse_files([raw], recipe, folder / "dask", scheduler="local", jobs=1, figures=False):
        print(f"{outcome.name}: {outcome.status}")
    same = [
        (folder / "dask" / path.parent.name / "cells.csv").read_bytes() == path.read_bytes()
        for path in sorted(results.glob("grain*/cells.csv"))
    ]
    print("same tables:", same)
else:
    print("Dask is not installed here")

# %% [markdown]
# ## On a GPU
#
# Single columns can be fitted on one (`pip install "stemdisp[cuda12]"` or `"[cuda13]"`), and by default one that works
# is used; all columns at once are fitted on the processor, which is quicker there.
