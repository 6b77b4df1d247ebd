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
# # Walls and vortices
#
# Where the displacement turns from one direction to another there is a domain wall; where it winds around a point, a
# vortex. Both are looked for in every image. First in two simulated crystals along [001], turned by 20 degrees: BaTiO3
# with a 180-degree wall, PbTiO3 with a vortex. Every column is also displaced by 1 pm at random.

# %%
import matplotlib.pyplot as plt
import numpy as np

import stemdisp
from stemdisp.materials import MATERIALS
from stemdisp.synthetic import Dose, Look, Motion, Scene, View


def scene(name, pattern, size_pm):
    return Scene(
        material=MATERIALS[name],
        zone=(0, 0, 1),
        view=View(shape=(400, 400), pixel_size_pm=(14.0, 14.0), rotation_deg=20.0),
        look=Look(tail=0.1),
        dose=Dose(peak_counts=2000, background_counts=200),
        motion=Motion(pattern=pattern, pattern_pm=size_pm, pattern_width_A=5.0, pattern_at_A=(4.0, 0.0), jitter_pm=1.0),
    )


def draw(ax, analysis, magnified):
    micrograph, field = analysis.micrograph, analysis.displacement
    pixel_pm = micrograph.pixel_size.x_pm
    colours = plt.get_cmap("twilight")(np.arctan2(-field.uv[:, 1], field.uv[:, 0]) / (2 * np.pi) % 1)
    ax.imshow(micrograph.signals["HAADF"].image, cmap="gray", alpha=0.5)
    arrows = {"angles": "xy", "scale_units": "xy", "units": "xy", "scale": pixel_pm / magnified, "width": 34 / pixel_pm}
    ax.quiver(*field.xy.T, *field.uv.T, color=colours, **arrows)
    for wall in analysis.domains.walls:
        ax.plot(*wall.points_px.T, "r-", lw=2)
    for vortex in analysis.domains.vortices:
        ax.plot(*vortex.xy_px, "r+", ms=14, mew=2)
    ax.set(title=f"{analysis.recipe.material.name}, magnified {magnified} times", xticks=[], yticks=[])


# %%
wall_scene, vortex_scene = scene("BaTiO3", "wall", 6.0), scene("PbTiO3", "vortex", 15.0)
figure, axes = plt.subplots(1, 2, figsize=(10, 5))
for ax, shown, magnified in zip(axes, (wall_scene, vortex_scene), (40, 20), strict=True):
    image, _ = stemdisp.simulate(shown)
    analysis = stemdisp.analyse(image, stemdisp.recipe_for(shown.material.name, "001"), device="cpu")
    draw(ax, analysis, magnified)
    true_px = shown.centre + np.array(shown.motion.pattern_at_A) @ shown.to_px
    for wall in analysis.domains.walls:
        off_pm = (wall.point_px - true_px) @ wall.normal * 14
        print(
            f"{shown.material.name}: wall {off_pm:+.0f} +- {1000 * wall.position_std_nm:.0f} pm off the true one,",
            end=" ",
        )
        print(f"a turn by {wall.turn_deg:.0f} +- {wall.turn_std_deg:.0f} degrees,", end=" ")
        print(f"width {wall.width_nm:.2f} +- {wall.width_std_nm:.2f} nm")
    for vortex in analysis.domains.vortices:
        off_px, std_px = vortex.xy_px - true_px, vortex.std_px
        print(
            f"{shown.material.name}: {vortex.sense}, ({off_px[0]:+.1f}, {off_px[1]:+.1f}) px off the true one", end=" "
        )
        print(f"(+- {std_px[0]:.1f}, {std_px[1]:.1f})")
plt.show()

# %% [markdown]
# The true width of the wall is 0.5 nm. In PbTiO3 the polarization points against the displacement of Ti off Pb, so the
# vortex of the polarization runs the other way round; the report of an analysis says so.
#
# ## A measured image
#
# The BaTiO3 of `sample_data` was measured by Ali Baghizadeh; it is an aligned and filtered average, and its true
# displacements are not known.

# %%
image = stemdisp.read("../sample_data/BTO_crystal_1.dm4")
measured = stemdisp.analyse(image, stemdisp.recipe_for("BaTiO3", "001"), device="cpu")
plt.figure(figsize=(9, 8))
draw(plt.gca(), measured, 60)
plt.show()
mean, walls, vortices = measured.headline.mean_pm, measured.domains.walls, measured.domains.vortices
print(f"Ti off Ba by ({mean[0]:.1f}, {mean[1]:.1f}) pm on average; {len(walls)} walls, {len(vortices)} vortices")
print(*measured.warnings, sep="\n")

# %% [markdown]
# Ti stands below Ba, in parts below and to the right, nearly all over the image. Without an edge there is no bulk to
# measure a tilt on, so what is uniform of it cannot be told from a tilt of the crystal here. In the maps the colour is
# the direction.
