"""Layer profiles over many images: means with standard errors, and how far images differ."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .. import __version__
from ..model.pooled import PooledProfile, Spread
from .layers import BESIDE, draw_band, draw_series, prepare
from .style import DOUBLE_COLUMN_IN, FAINT, NORMAL_COLOUR, PARALLEL_COLOUR, STYLE

HEIGHT_IN, DPI = 4.3, 150


def _draw_component(ax: Axes, profile: PooledProfile, name: str, **looks: Any) -> ErrorbarContainer:
    """One component: band of the scatter, bars of the error, hollow where a single image has the layer."""
    spread, layer = profile.spreads[name], profile.layer.astype(float)
    draw_band(ax, layer, spread.mean, spread.sd, looks["colour"])
    line = draw_series(ax, layer, spread.mean, spread.sem, **looks)
    single = spread.images == 1
    style: dict[str, Any] = {"s": 9, "facecolors": "white", "linewidths": 0.8, "zorder": 5}
    ax.scatter(layer[single], spread.mean[single], edgecolors=looks["colour"], marker=looks["marker"], **style)
    return line


def draw_pooled(ax: Axes, profile: PooledProfile, *, polarization: bool = False, legend: bool = True) -> list[Any]:
    """The two components of displacement or polarization, layer by layer, in the frame of the interface."""
    ends = ("p_parallel_uC_cm2", "p_normal_uC_cm2") if polarization else ("parallel_pm", "normal_pm")
    prepare(ax, profile.layer.astype(float), None, zero=0.0)
    ax.spines["top"].set_visible(False)
    parallel = _draw_component(
        ax, profile, ends[0], colour=PARALLEL_COLOUR, marker="o", label="parallel to the interface"
    )
    normal = _draw_component(ax, profile, ends[1], colour=NORMAL_COLOUR, marker="s", label="normal to it, outwards")
    ax.set_ylabel("polarization (µC/cm²)" if polarization else "displacement (pm)")
    if legend:
        ax.legend(handles=[parallel, normal, *_explanations(profile.spreads[ends[0]])], **BESIDE)
    return [parallel, normal]


def _explanations(spread: Spread) -> list[Any]:
    """What bars, bands and hollow marks stand for."""
    found: list[Any] = [Line2D([], [], color=FAINT, marker="|", ms=9, ls="", label="bars: standard error of the mean")]
    if (spread.images > 1).any():
        found.append(Patch(color=FAINT, alpha=0.3, lw=0, label="bands: scatter between images (1 s.d.)"))
    if (spread.images == 1).any():
        found.append(Line2D([], [], color=FAINT, marker="o", mfc="white", ms=3.5, ls="", label="hollow: one image"))
    return found


def compose_pooled(profile: PooledProfile) -> Figure:
    """Displacement and, where it is known, polarization of the layers of many images, and how many have each layer."""
    polar = bool(np.isfinite(profile.spreads["p_parallel_uC_cm2"].mean).any())
    ratios = [3.0, 3.0, 1.0] if polar else [3.0, 1.0]
    figure = Figure(figsize=(DOUBLE_COLUMN_IN, HEIGHT_IN if polar else HEIGHT_IN - 1.4), layout="constrained")
    axes = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    draw_pooled(axes[0], profile)
    if polar:
        draw_pooled(axes[1], profile, polarization=True, legend=False)
    counted = axes[-1]
    counted.bar(profile.layer, profile.spreads["parallel_pm"].images, color=FAINT, width=0.7)
    counted.set_ylabel("images")
    counted.set_ylim(bottom=0)
    counted.yaxis.get_major_locator().set_params(integer=True, nbins=3)
    counted.spines[["right", "top"]].set_visible(False)
    counted.set_xlabel("layer (0 = outermost)")
    figure.align_ylabels(axes)
    figure.supxlabel(f"stemdisp {__version__}", x=0.01, ha="left", fontsize=5.5, color="#555555")
    return figure


def pooled_png(profile: PooledProfile) -> bytes:
    """The figure as PNG; the same profile gives the same bytes."""
    made = io.BytesIO()
    with rc_context(STYLE):
        compose_pooled(profile).savefig(made, format="png", dpi=DPI, metadata={"Software": None})
    return made.getvalue()
