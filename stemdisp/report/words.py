"""Numbers and findings as words: rounding by the error, and the summary paragraph."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..io.text import one_line
from ..materials import parse_zone
from ..model.analysis import Analysis
from ..model.external import ExternalProfile, RankCorrelation
from ..model.headline import Estimate, Headline
from ..model.profile import Decay, Profile, numbers_of

NOTHING = "–"
"""Stands where a number does not exist."""

JOIN = "\u00a0"
"""A space at which no line breaks: between a number and its unit."""

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

MOST_OFF_DEG = 15
"""A vector farther off than this (degrees) is not along a direction."""

SURELY_OFF = 3.0
"""Nor one that is farther off than so many of its standard deviations."""

UNITS = {"uC/cm2": "µC/cm²", "deg": "°", "angstrom": "Å"}


def unit_text(unit: str) -> str:
    """A unit as a reader knows it.

    >>> unit_text("uC/cm2")
    'µC/cm²'
    """
    return UNITS.get(unit, unit)


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, never in exponents between 0.001 and a million.

    >>> number(0.01234), number(float("nan")), number(1234567.0), number(230.26)
    ('0.0123', '–', '1.23e+06', '230')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -4 < size < 6:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    return f"{value:.{max(digits - 1 - size, 0)}f}".replace("-", "−")


def with_error(value: float | None, std: float | None, unit: str = "") -> str:
    """A number with its error, both to two digits of the error; the number alone where there is no error.

    >>> with_error(18.634, 0.922, "pm").replace(JOIN, " ")
    '18.63 ± 0.92 pm'
    >>> with_error(-3.0, None, "pm").replace(JOIN, " ")
    '−3.00 pm'
    """
    shown = f"{JOIN}{unit_text(unit)}" if unit else ""
    if value is None or not math.isfinite(value):
        return NOTHING
    if std is None or not math.isfinite(std) or std <= 0:
        return number(value) + shown
    places = min(max(1 - math.floor(math.log10(std)), 0), 9)
    return f"{value:.{places}f}{JOIN}±{JOIN}{std:.{places}f}".replace("-", "−") + shown


def fixed(value: float, places: int) -> str:
    """A number with so many decimals, for tables.

    >>> fixed(-0.001, 2), fixed(float("nan"), 1)
    ('0.00', '–')
    """
    if not math.isfinite(value):
        return NOTHING
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", "−")


def p_value(value: float) -> str:
    """A p-value: below 0.001 only that.

    >>> p_value(1e-9), p_value(0.3712)
    ('< 0.001', '0.37')
    """
    if not math.isfinite(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else number(value, 2)


def overlined(indices: Sequence[int], brackets: str = "[]") -> str:
    r"""Miller indices with bars instead of signs.

    >>> overlined((1, -1, 0)) == "[11\u03050]"
    True
    """
    return brackets[0] + "".join(str(abs(i)) + ("\u0305" if i < 0 else "") for i in indices) + brackets[1]


def crystal(analysis: Analysis) -> str:
    """Name of the crystal and the direction it is seen along."""
    asked = analysis.recipe.material
    return f"{asked.name.translate(SUBSCRIPTS)} along {overlined(parse_zone(asked.zone))}"


def count(n: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "column").replace(JOIN, " "), count(1200, "column").replace(JOIN, " ")
    ('1 column', '1200 columns')
    """
    return f"{n}{JOIN}{noun}{'' if n == 1 else 's'}"


def strongest_layer(profile: Profile | None) -> int | None:
    """Row of the layer with the longest mean displacement; None where no layer has one."""
    return None if profile is None else profile.strongest


def _displaced(profile: Profile) -> str:
    """Which layers are displaced at all."""
    tested = np.isfinite(profile.significant)
    if not tested.any():
        return ""
    believed = [int(n) for n in profile.layer[profile.significant == 1]]
    if not believed:
        return f"None of {count(int(tested.sum()), 'layer')} has a mean displacement that stands above its error."
    return (
        f"The mean displacement stands above its error in {numbers_of(believed)} of "
        f"{int(tested.sum())} (false discoveries held at 5{JOIN}%)."
    )


def _decay(decay: Decay | None) -> str:
    if decay is None:
        return ""
    length = with_error(decay.length_nm, decay.length_std_nm, "nm")
    return (
        f"It dies away over {length} from {with_error(decay.parallel_pm, decay.parallel_std_pm, 'pm')} parallel to the "
        f"interface and {with_error(decay.normal_pm, decay.normal_std_pm, 'pm')} outwards at it."
    )


def window_text(windows: Sequence[tuple[float, float]]) -> str:
    """From where to where runs of layers reach.

    >>> window_text([(0.051, 0.977), (1.9, 2.13)]).replace(JOIN, " ")
    '0.05 to 0.98 and 1.90 to 2.13 nm from the interface'
    """
    runs = [f"{fixed(start, 2)} to {fixed(end, 2)}" for start, end in windows]
    listed = " and ".join([", ".join(runs[:-1]), runs[-1]] if len(runs) > 1 else runs)
    return f"{listed}{JOIN}nm from the interface"


def _oxygen(profile: Profile, windows: Sequence[tuple[float, float]]) -> str:
    """Where oxygen columns are fainter than in the bulk."""
    if not np.isfinite(profile.vacancy_rich).any():
        return ""
    poor = [int(n) for n in profile.layer[profile.vacancy_rich == 1]]
    if not poor:
        return "Oxygen columns are nowhere clearly fainter than in the bulk."
    lowest = float(np.nanmin(profile.o_contrast))
    return (
        f"Oxygen columns are fainter than in the bulk in {numbers_of(poor)} ({window_text(windows)}), down to "
        f"{number(lowest, 2)} of it: a sign of vacancies, no measure of how many."
    )


def _external(one: ExternalProfile) -> str:
    """How a profile measured elsewhere goes with the layers."""
    covered, layers = int(one.covered.sum()), count(len(one.covered), "layer")
    if not covered:
        return ""
    compared = (("the oxygen contrast", one.o_contrast), ("the length of the displacement", one.displacement))
    found = [f"{_correlation(rank)} with {what}" for what, rank in compared if math.isfinite(rank.rho)]
    ranks = f"Its rank correlation is {' and '.join(found)}." if found else "These are too few for a correlation."
    return f"{one_line(one.name, 100)}, measured elsewhere, covers {covered} of {layers}. {ranks}"


def _correlation(rank: RankCorrelation) -> str:
    level = p_value(rank.p_value).replace(" ", JOIN)
    sign = "" if level.startswith("<") else f"={JOIN}"
    return f"{fixed(rank.rho, 2)} (p{JOIN}{sign}{level}, {count(rank.n, 'layer')})"


def layer_sentence(profile: Profile, row: int) -> str:
    """Where and how large the displacement of one layer is."""
    depth = profile.distance_nm[row]
    where = f", {number(depth, 2)}{JOIN}nm from the interface" if math.isfinite(depth) else ""
    return (
        f"layer {profile.layer[row]}{where}: {number(profile.magnitude_pm[row])}{JOIN}pm "
        f"({with_error(profile.parallel_pm[row], profile.parallel_sem_pm[row], 'pm')} parallel to the interface, "
        f"{with_error(profile.normal_pm[row], profile.normal_sem_pm[row], 'pm')} outwards; "
        f"n{JOIN}={JOIN}{profile.n[row]})"
    )


def mean_words(found: Headline) -> str:
    """How far the strongest layer (or all cells) moved in the mean: its length, and right and down."""
    x, y = found.mean_pm
    length = math.hypot(x, y)
    along = found.mean_pm / (length or 1.0)
    std = math.sqrt(max(float(along @ found.cov_pm @ along), 0.0))
    sides = f"{number(abs(x))} {'right' if x >= 0 else 'left'}, {number(abs(y))} {'down' if y >= 0 else 'up'}"
    return f"{with_error(length, std, 'pm')} ({sides})"


def direction_sentence(found: Headline | None) -> str:
    """Along which direction of the crystal the strongest layer (or all cells) moved; empty where that is not known."""
    if found is None or found.direction is None:
        return ""
    told = found.direction
    name = overlined(told.indices) if told.exact else f"the projection of {overlined(told.indices)}"
    angle = f"{with_error(told.off_deg, told.std_deg)}°"
    outwards = f", where {overlined(told.normal)} points outwards" if told.normal is not None else ""
    size = f", {mean_words(found)}," if found.layer is None else ""
    what = f"The mean displacement of {found.where}{size}"
    within = math.ceil(told.off_deg + told.std_deg)
    if within > MOST_OFF_DEG or told.off_deg > SURELY_OFF * told.std_deg:
        return f"{what} points {angle} away from {name}, the nearest direction of low indices{outwards}."
    return f"{what} points along {name} within {within}° ({angle} off){outwards}."


def _by(one: Estimate) -> str:
    return f"{with_error(one.along, one.along_std)} ({one.model})"


def range_sentence(found: Headline | None) -> str:
    """Between which polarizations the models leave the strongest layer (or all cells)."""
    if found is None or found.extremes is None:
        return ""
    lowest, highest = found.extremes
    if lowest is highest:
        return f"Along that displacement the polarization is {_by(lowest)} µC/cm²; no other model has its numbers."
    flips = "; even its sign is open" if found.sign_may_flip else ""
    return (
        f"By which atoms are taken to have moved, the polarization of {found.where} along its displacement is between "
        f"{_by(lowest)} and {_by(highest)} µC/cm²{flips}."
    )


def _columns(analysis: Analysis) -> str:
    columns = analysis.columns
    if columns is None or not (columns.site >= 0).any():
        found = 0 if analysis.peaks is None else len(analysis.peaks)
        return f"{count(found, 'peak')} were found; no crystal was assigned to them."
    assigned = columns.site >= 0
    usable = assigned & columns.usable
    sites = [
        f"{name} {int((usable & (columns.site == site)).sum())} of {int((columns.site == site).sum())}"
        for site, name in enumerate(columns.sites)
        if (columns.site == site).any()
    ]
    return (
        f"{count(int(assigned.sum()), 'column')} of {crystal(analysis)} were assigned; "
        f"{int(usable.sum())} have a usable position ({', '.join(sites)})."
    )


def _cells(analysis: Analysis) -> str:
    field, cells = analysis.displacement, analysis.cells
    if cells is None:
        return ""
    if field is None:
        return f"{count(len(cells), 'cell')} were built; without a pixel size there is no displacement in pm."
    above = f"; {int(field.significant.sum())} of them stand above their error" if field.judged else ""
    pair = f"{cells.moving_site} against {cells.reference_site}"
    return f"{count(int(field.valid.sum()), 'cell')} have a displacement of {pair}{above}."


def _interface(analysis: Analysis) -> str:
    edge = analysis.interface
    if analysis.cells is None:
        return ""
    if edge is None:
        return "No interface was found, so there are no layers."
    layers = len(np.unique(edge.layer[edge.layer >= 0]))
    how = "found automatically" if edge.origin == "automatic" else "given"
    shape = "An interface" if edge.straight else "An interface that does not follow one plane"
    told = f" ({edge.sentence})" if edge.sentence else ""
    below = count(layers, overlined(edge.plane, "()") + " layer")
    return f"{shape} was {how}{told}; below it lie {below}, {number(edge.spacing_pm, 4)}{JOIN}pm apart."


def reference_sentence(analysis: Analysis, where: str = "") -> str:
    """What was subtracted from the displacements of a crystal, or that nothing was and what that means."""
    field = analysis.displacement
    if field is None:
        return ""
    if field.offset is None:
        nothing = f"{where} nothing was subtracted".strip()
        nothing = nothing[0].upper() + nothing[1:]
        return f"{nothing}: one image alone cannot tell a uniform polarization from a uniform tilt."
    std = (None, None) if field.offset_std is None else field.offset_std
    return (
        f"The mean of the reference region{' ' if where else ''}{where} "
        f"({count(int(field.offset_cells.sum()), 'cell')}) was subtracted: "
        f"{with_error(field.offset[0], std[0], 'pm')} to the right and "
        f"{with_error(field.offset[1], std[1], 'pm')} down, "
        "which tilt, scan or a uniform displacement may have caused."
    )


def paragraph(analysis: Analysis) -> str:
    """The finding in a few sentences, made from the numbers alone."""
    parts = [_columns(analysis), _cells(analysis), _interface(analysis), *_layers(analysis)]
    parts += [_external(one) for one in analysis.external]
    if len(analysis.sides) > 1:
        there = analysis.of_side(1)
        parts += [_beyond(there), *_layers(there)]
        parts += [reference_sentence(analysis), reference_sentence(there, "beyond the interface")]
    else:
        parts.append(reference_sentence(analysis))
    return " ".join(part for part in parts if part)


def _layers(analysis: Analysis) -> list[str]:
    """What the layers of one crystal say."""
    profile, row = analysis.profile, strongest_layer(analysis.profile)
    if profile is None:
        return [direction_sentence(analysis.headline), range_sentence(analysis.headline)]
    largest = "" if row is None else f"The displacement is largest in {layer_sentence(profile, row)}."
    named, said = direction_sentence(analysis.headline), range_sentence(analysis.headline)
    windows = analysis.vacancy_windows_nm
    return [largest, named, _displaced(profile), _decay(analysis.decay), said, _oxygen(profile, windows)]


def _beyond(there: Analysis) -> str:
    """The crystal on the other side of the interface."""
    assert there.interface is not None
    layers = len(np.unique(there.interface.layer[there.interface.layer >= 0]))
    return f"Beyond it the crystal goes on with {count(layers, overlined(there.interface.plane, '()') + ' layer')}."
