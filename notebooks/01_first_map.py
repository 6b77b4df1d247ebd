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
# # A first map
#
# From an image to a map of displacements in ten lines. The image is the multislice simulation of amorphous LaAlO3 on
# KTaO3 (111), beam along [1-10], that lies in `sample_data/interface`: a HAADF and an ABF image on one grid of
# pixels, 10⁵ electrons per square angstrom. The notebooks run in the folder that holds them.

# %%
import matplotlib.pyplot as plt

import stemdisp

image = stemdisp.read("../sample_data/interface/KTO111_1e5_HAADF.tif", "../sample_data/interface/KTO111_1e5_ABF.tif")
analysis = stemdisp.analyse(image, stemdisp.recipe_for("KTaO3", "1-10"))

field = analysis.displacement
plt.imshow(image.signals["HAADF"].image, cmap="gray")
plt.quiver(*field.xy.T, *field.uv.T, color="gold", angles="xy", scale_units="xy", scale=1, width=0.004)
plt.title("Displacement of K against Ta, magnified ten times")
plt.axis("off")
plt.show()

# %% [markdown]
# The arrows stand at the middle of the two Ta that the ideal crystal has centred on each K. They are long at the
# edge and die away below it. Vectors are (x right, y down), so a negative `dy_pm` points up, towards the cap.
#
# Each has a standard deviation, and what could not be measured is empty, never zero:

# %%
tables = stemdisp.to_pandas(analysis)
cells = tables["cells"][["layer", "dx_pm", "dx_std_pm", "dy_pm", "dy_std_pm", "significant"]]
print(f"{field.valid.sum()} of {len(field)} cells have a displacement")
cells.sort_values("layer").query("layer >= 0").head(8).round(1)

# %% [markdown]
# ## Layer by layer
#
# Layers are counted from the edge, 0 being the outermost. The bars are standard errors of the means.

# %%
profile = analysis.profile
plt.figure(figsize=(6, 3.5))
plt.errorbar(profile.layer, profile.parallel_pm, profile.parallel_sem_pm, fmt="o-", label="along the interface")
plt.errorbar(profile.layer, profile.normal_pm, profile.normal_sem_pm, fmt="s-", label="outwards")
plt.axhline(0, color="0.6", lw=0.8)
plt.xlabel("layer")
plt.ylabel("displacement (pm)")
plt.legend()
plt.show()

# %% [markdown]
# In the simulation K of layer 0 is displaced by 26 pm to the right and 9 pm up, and the image of its column, which
# also holds oxygen that stays, by about three quarters of that. Notebook 02 compares them column by column.
#
# ## What one should be told
#
# An analysis says in plain sentences what is doubtful; read those first. Here there is nothing to warn of, and what was
# looked at for that is listed with what it came to.

# %%
print(len(analysis.warnings), "warnings")
print(*(f"- {check.sentence}" for check in analysis.quality.checks), sep="\n")

# %% [markdown]
# `stemdisp.save(analysis, "results/KTO111_1e5")` writes the tables, the figures in print quality, the recipe with
# every value that was used, and a report that opens in a browser. `stemdisp.load` reads the folder again.
