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
# # An interface: amorphous LaAlO3 on KTaO3 (111)
#
# The use case behind stemdisp is Dong, Cheng, Zhang, Wu, Nature Communications (2026),
# [doi 10.1038/s41467-026-69641-4](https://doi.org/10.1038/s41467-026-69641-4). Only its abstract and one figure caption
# could be read: it reports ferroelectric order at this interface, with K displaced relative to Ta in STEM images, and
# oxygen vacancies as what helps it. Zone axis, imaging mode, definition of the displacement and its size are unknown
# here. **Nothing below reproduces a figure of that paper.** The images are this project's own multislice simulation, in
# which K was moved and oxygen taken out by hand: what comes out shows what the method sees, not what the interface
# does.

# %%
import matplotlib.pyplot as plt

import stemdisp

image = stemdisp.read("../sample_data/interface/KTO111_1e5_HAADF.tif", "../sample_data/interface/KTO111_1e5_ABF.tif")
analysis = stemdisp.analyse(image, stemdisp.recipe_for("KTaO3", "1-10"))
interface, profile, field = analysis.interface, analysis.profile, analysis.displacement
figure, axes = plt.subplots(1, 2, figsize=(9, 5), sharex=True, sharey=True)
for ax, (name, signal) in zip(axes, image.signals.items(), strict=True):
    ax.imshow(signal.image, cmap="gray")
    ax.plot(*interface.curve.T, "c--", lw=1)
    ax.set(title=name, xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    if name == analysis.position_signal:
        ax.quiver(*field.xy.T, *field.uv.T, color="gold", angles="xy", scale_units="xy", scale=1, width=0.005)
    else:
        oxygen = analysis.columns.of_site("O") & analysis.columns.usable
        ax.plot(*analysis.columns.xy[oxygen].T, "r.", ms=3)
plt.show()
print(interface.sentence)

# %% [markdown]
# Ta and K are measured in HAADF, where they are bright, and oxygen (red) in ABF, where it is dark. The arrows are K
# against the middle of its two Ta, magnified ten times; dashed is the edge as it was found.
#
# ## The displacement of K by layer

# %%
figure, (upper, lower) = plt.subplots(2, 1, figsize=(6.5, 6), sharex=True)
upper.errorbar(profile.layer, profile.parallel_pm, profile.parallel_sem_pm, fmt="o-", label="along the interface")
upper.errorbar(profile.layer, profile.normal_pm, profile.normal_sem_pm, fmt="s-", label="outwards")
upper.set(ylabel="displacement (pm)")
upper.legend()
lower.errorbar(profile.layer, profile.o_contrast, profile.o_contrast_sem, fmt="o-", color="C3")
poor = profile.vacancy_rich == 1
lower.plot(profile.layer[poor], profile.o_contrast[poor], "o", mfc="none", mec="k", ms=12, label="poor in oxygen")
lower.set(xlabel="layer", ylabel="contrast of oxygen (bulk = 1)")
lower.legend()
plt.show()
decay, told = analysis.decay, profile.layer[profile.significant == 1]
print("displaced layers:", *told)
print(f"falls to 1/e over {decay.length_nm:.2f} +- {decay.length_std_nm:.2f} nm")
direction = analysis.headline.direction
print(f"layer {analysis.headline.layer} points {direction.off_deg:.0f} +- {direction.std_deg:.0f} degrees off", end=" ")
print(f"{list(direction.indices)}, with {list(direction.normal)} pointing out of the crystal")
print(analysis.vacancies.sentence)

# %% [markdown]
# In the simulation the displacement decays over three layers (0.69 nm), and 30, 30, 20 and 10 % of the oxygen are
# missing in layers 0 to 3. The length comes out shorter than that. Two things shorten it: columns poor in oxygen show
# more of K's displacement, and what is left of it in the layers taken for bulk is subtracted everywhere.
#
# Contrast of oxygen depends on tilt, thickness and disorder too: it is a proxy, and the number of missing atoms cannot
# be read off it.
#
# ## From the column to the atom, and to a polarization
#
# Along [1-10] a column of K also holds oxygen. If that stays, the image of the column moves less than K does:

# %%
print(analysis.dilution.sentence)
layer = profile.strongest
print(f"layer {profile.layer[layer]}, along the interface: column {profile.parallel_pm[layer]:.1f} pm,", end=" ")
print(f"K {profile.atom_parallel_pm[layer]:.1f} +- {profile.atom_parallel_sem_pm[layer]:.1f} pm (26 in the simulation)")
for estimate in analysis.headline.estimates:
    print(f"{estimate.model:15} {estimate.along:+6.1f} +- {estimate.along_std:.1f} uC/cm2 along the displacement")
print("the sign may flip:", analysis.headline.sign_may_flip)
print(analysis.polarization.assumption)

# %% [markdown]
# The same picture of K and Ta is a small polarization if K moved in rigid TaO3, and a large one the other way if Ta
# moved in rigid KO3. So the displacement in pm is the result, and the polarization an interpretation under a model that
# is named.
#
# ## What an image can and cannot prove
#
# * It shows that columns of K stand off the middle of their Ta, in which layers, how far, and how sure that is.
# * It does not show which atoms moved, nor anything along the beam. In one picture a uniform displacement cannot be
#   told from a uniform tilt, which is why the mean of the bulk is subtracted and printed.
# * It does not show that a polarization can be switched, nor how well it is screened: that takes other experiments.
# * Vacancies are inferred from contrast. A simulation of the real specimen has to say how many there are.
