"""The crystal of a synthetic micrograph: every column that can reach the frame, placed by the random streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scene import Edge, Scene, Stack

Floats = NDArray[np.float64]

WINDOW = 7.0
"""Half width of a drawn profile in standard deviations: what is cut off is 2e-11 of the peak."""

SIGMA_BRIGHTEST_A, SIGMA_OTHER_A = 0.50, 0.55
"""Core widths where the scene gives none: a probe of about 0.8 A with thermal motion."""

SPARE_A = 1.0
"""Room for displaced columns outside the frame."""

ON_PLANE = 1e-6
"""Tolerance of "on this plane" in layer spacings; the ranks of ideal columns are fractions."""

_PRESENT, _JITTER, _STRENGTH, _WIDTH = range(4)


@dataclass(frozen=True)
class Specimen:
    """N columns in the crystal frame (y up, angstrom, from the image centre).

    site
        (N,) index into the motif's sites.
    hk
        (N, 2) cell.
    ideal
        (N, 2) place without displacement.
    layer
        (N,) layer, 0 = outermost plane of the moving site, -1 = none.
    present
        (N,) False for missing columns.
    jitter_pm
        (N, 2) random displacement.
    strength
        (N,) factor on the site's peak height.
    sigma_A
        (N,) width of the profile's core.
    ellipticity
        (N, 2) (s1 - s2) / (s1 + s2) times (cos 2t, sin 2t), t = direction of the long axis as seen.
    """

    site: NDArray[np.int64]
    hk: NDArray[np.int64]
    ideal: Floats
    layer: NDArray[np.int64]
    present: NDArray[np.bool_]
    jitter_pm: Floats
    strength: Floats
    sigma_A: Floats
    ellipticity: Floats

    def take(self, rows: NDArray[np.bool_]) -> Specimen:
        """The columns chosen by a mask (N,)."""
        return Specimen(
            site=self.site[rows],
            hk=self.hk[rows],
            ideal=self.ideal[rows],
            layer=self.layer[rows],
            present=self.present[rows],
            jitter_pm=self.jitter_pm[rows],
            strength=self.strength[rows],
            sigma_A=self.sigma_A[rows],
            ellipticity=self.ellipticity[rows],
        )


def widths(scene: Scene) -> Floats:
    """(S,) core width of each site in angstrom."""
    bright = _brightest(scene)
    usual = [SIGMA_BRIGHTEST_A if i == bright else SIGMA_OTHER_A for i in range(len(scene.motif.sites))]
    return np.array([scene.look.sigma_A.get(name, s) for name, s in zip(scene.motif.sites, usual, strict=True)])


def contrast(scene: Scene, signal: str) -> Floats:
    """(S,) peak height of each site relative to the brightest."""
    usual = scene.motif.contrast(signal).tolist()
    given = scene.look.abf_amplitude if signal == "ABF" else scene.look.amplitude
    return np.array([given.get(name, c) for name, c in zip(scene.motif.sites, usual, strict=True)])


def outward(scene: Scene, edge: Edge | Stack) -> tuple[Floats, float]:
    """Outward unit normal (crystal frame, y up) and spacing (angstrom) of the planes along an edge or of a stack."""
    g = scene.motif.reciprocal(scene.motif.rows(edge.plane))
    length = float(np.linalg.norm(g))
    return g / length, 1 / length


def origin(scene: Scene) -> Floats:
    """(2,) place of the motif's (0, 0) of cell (0, 0): crystal frame, angstrom, from the image centre."""
    place = np.array(scene.view.origin_A, dtype=float)
    if scene.stack is not None:
        normal, spacing = outward(scene, scene.stack)
        middle = scene.stack.offset_A - (_rank(scene, scene.stack) + (scene.stack.cells[0] - 1) / 2) * spacing
        return np.asarray(place + (middle - place @ normal) * normal)
    if scene.edge is None:
        return place
    normal, spacing = outward(scene, scene.edge)
    clearance = spacing / 2 if scene.edge.clearance_A is None else scene.edge.clearance_A
    wanted = scene.edge.offset_A - clearance - _last_ranks(scene, scene.edge)[0] * spacing
    return np.asarray(place + (wanted - place @ normal) * normal)


def build_specimen(scene: Scene) -> Specimen:
    """Place the columns of a scene: which there are, which are missing, and how each differs from its site."""
    site, hk, ideal = _grid(scene)
    n, look = len(site), scene.look
    # Numbers are drawn from the centre outwards: a larger frame adds columns and changes none.
    rank = np.lexsort((site, hk[:, 1], hk[:, 0], np.hypot(ideal[:, 0], ideal[:, 1]).round(6))).argsort()
    present = (_stream(scene, _PRESENT).random(n) >= scene.missing)[rank]
    jitter = scene.motion.jitter_pm * _stream(scene, _JITTER).standard_normal((n, 2))[rank]
    strength = 1 + look.amplitude_scatter * _stream(scene, _STRENGTH).standard_normal(n)[rank]
    sigma = widths(scene)[site] * (1 + look.width_scatter * _stream(scene, _WIDTH).standard_normal(n)[rank])
    layer, inside = np.full(n, -1), np.ones(n, dtype=bool)
    if scene.edge is not None:
        last, outermost = _last_ranks(scene, scene.edge)
        ranks = (hk + scene.motif.fractions[site]) @ np.array(scene.motif.rows(scene.edge.plane))
        ranks = ranks - _steps(scene, scene.edge, ideal)
        layer = np.maximum(_below(outermost, ranks), -1)
        strength = strength * _edge_strength(scene, scene.edge, site, (layer, _below(last, ranks)))
        inside = (_below(last, ranks) >= 0) | (scene.edge.beyond == "crystal")
        ideal = _stretched(scene, scene.edge, ideal, _below(last, ranks) < 0)
    if scene.stack is not None:
        second, ideal = _stacked(scene, scene.stack, site, hk, ideal)
        for name, factor in scene.stack.strength.items():
            strength[(site == scene.motif.site(name)) & second] *= factor
    present &= strength > 0
    columns = Specimen(
        site=site,
        hk=hk,
        ideal=ideal,
        layer=layer,
        present=present,
        jitter_pm=jitter,
        strength=strength,
        sigma_A=sigma * _wider(scene, ideal),
        ellipticity=_ellipticity(scene, site, layer),
    )
    return columns.take(inside)


def displacement_pm(scene: Scene, columns: Specimen) -> Floats:
    """(N, 2) physical displacement of the columns in pm (right, down), jitter included."""
    motion = scene.motion
    moved = columns.jitter_pm @ scene.turn
    moving = columns.site == scene.motif.site(scene.material.moving)
    moved[moving] += motion.uniform_pm
    for name, vector in motion.site_pm.items():
        moved[columns.site == scene.motif.site(name)] += vector
    if scene.stack is not None:
        moved[moving] += _in_stack_pm(scene, scene.stack, columns.hk[moving], columns.ideal[moving]) @ scene.turn
    elif motion.pattern != "none":
        moved[moving] += motion.of_pattern_pm(columns.ideal[moving]) @ scene.turn
    if scene.edge is None:
        return np.asarray(moved)
    normal = outward(scene, scene.edge)[0] @ scene.turn
    parallel = np.array([-normal[1], normal[0]])
    counted = moving & (columns.layer >= 0)
    layer = columns.layer[counted]
    if motion.layers_pm:
        table = np.array([*motion.layers_pm, (0.0, 0.0)])
        amount = table[np.minimum(layer, len(table) - 1)]
    else:
        amount = np.exp(-layer / motion.decay_layers)[:, None] * [motion.normal_pm, motion.parallel_pm]
    moved[counted] += amount @ np.stack([normal, parallel])
    return np.asarray(moved)


def _wider(scene: Scene, ideal: Floats) -> Floats:
    """(N,) factor on the width of columns at places (N, 2): what changes across the image."""
    ny, nx = scene.view.shape
    return np.asarray(1 + ideal @ scene.to_px @ (np.array(scene.look.width_trend) / [nx, ny]))


def _ellipticity(scene: Scene, site: NDArray[np.int64], layer: NDArray[np.int64]) -> Floats:
    """(N, 2) ellipticity of columns as seen."""
    found, chosen = np.zeros((len(site), 2)), scene.look.elliptical_layers
    for name, (amount, direction_deg) in scene.look.ellipticity.items():
        rows = (site == scene.motif.site(name)) & (np.isin(layer, chosen) if chosen else True)
        twice = np.radians(2 * direction_deg)
        found[rows] = amount * np.array([np.cos(twice), np.sin(twice)])
    return found


def _stream(scene: Scene, which: int) -> np.random.Generator:
    return np.random.default_rng([scene.seed, which])


def _brightest(scene: Scene) -> int:
    return int(scene.motif.contrast("HAADF").argmax())


def _last_ranks(scene: Scene, edge: Edge) -> tuple[float, float]:
    """Rank p x + q y (fractions) of the outermost plane of the terminating site, and of the moving site's last."""
    rows = np.array(scene.motif.rows(edge.plane))
    ranks = scene.motif.fractions @ rows
    last = ranks[scene.motif.site(edge.termination or scene.material.reference)] % 1.0
    moving = ranks[scene.motif.site(scene.material.moving)]
    return float(last), float(moving + np.floor(last - moving + ON_PLANE))


def _steps(scene: Scene, edge: Edge, ideal: Floats) -> Floats:
    """(N,) whole layers by which the crystal reaches farther out at places (N, 2) than where the line is straight."""
    normal, spacing = outward(scene, edge)
    return np.rint(edge.rise_A(ideal @ [normal[1], -normal[0]]) / spacing)


def _stretched(scene: Scene, edge: Edge, ideal: Floats, beyond: NDArray[np.bool_]) -> Floats:
    """(N, 2) places of which those ``beyond`` stand apart along the normal as the strain there says."""
    normal, _ = outward(scene, edge)
    height = ideal @ normal - edge.offset_A - edge.rise_A(ideal @ [normal[1], -normal[0]])
    return np.asarray(ideal + edge.beyond_strain * (height * beyond)[:, None] * normal)


def _rank(scene: Scene, stack: Stack) -> float:
    """Rank of the reference site's plane in cell (0, 0)."""
    fraction = scene.motif.fractions[scene.motif.site(scene.material.reference)]
    return float(fraction @ np.array(scene.motif.rows(stack.plane)))


def _phase(scene: Scene, stack: Stack, site: NDArray[np.int64], hk: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """(N,) planes from the beginning of the layer of the first crystal that a column lies in or above, and how many
    planes of the second lie between it and the layer in the middle."""
    ranks = (hk + scene.motif.fractions[site]) @ np.array(scene.motif.rows(stack.plane)) - _rank(scene, stack) + 0.5
    first, second = stack.cells
    period = np.floor((ranks + ON_PLANE) / (first + second))
    phase = ranks - period * (first + second)
    return phase, period * second + np.maximum(phase - first, 0)


def _stacked(
    scene: Scene, stack: Stack, site: NDArray[np.int64], hk: NDArray[np.int64], ideal: Floats
) -> tuple[NDArray[np.bool_], Floats]:
    """(N,) which columns belong to the second crystal, and (N, 2) places with its planes farther apart."""
    normal, spacing = outward(scene, stack)
    phase, passed = _phase(scene, stack, site, hk)
    inside = (phase > stack.cells[0] + ON_PLANE) & (phase < sum(stack.cells) - ON_PLANE)
    return inside, ideal + stack.strain * spacing * passed[:, None] * normal


def _in_stack_pm(scene: Scene, stack: Stack, hk: NDArray[np.int64], ideal: Floats) -> Floats:
    """(N, 2) displacement of moving columns (crystal frame) by the layer they lie in."""
    motion, (normal, spacing) = scene.motion, outward(scene, stack)
    axes = np.stack([normal, [normal[1], -normal[0]]])
    phase, _ = _phase(scene, stack, np.full(len(hk), scene.motif.site(scene.material.moving)), hk)
    inner = (phase > ON_PLANE) & (phase < stack.cells[0] - ON_PLANE)
    outer = (phase > stack.cells[0] + ON_PLANE) & (phase < sum(stack.cells) - ON_PLANE)
    moved = inner[:, None] * stack.moved_pm[0] @ axes + outer[:, None] * stack.moved_pm[1] @ axes
    if motion.pattern == "vortices":
        height = (phase - stack.cells[0] / 2) * spacing
        flat = motion.of_vortices_pm(ideal @ axes[1], height, stack.cells[0] * spacing)
        moved += inner[:, None] * flat[:, ::-1] @ axes
    elif motion.pattern != "none":
        moved += inner[:, None] * motion.of_pattern_pm(ideal)
    return np.asarray(moved)


def _below(rank: float, ranks: Floats) -> NDArray[np.int64]:
    """(N,) whole layers by which ``ranks`` lie inside the plane ``rank``; negative outside."""
    return np.floor(rank - ranks + ON_PLANE).astype(np.int64)


def _edge_strength(
    scene: Scene, edge: Edge, site: NDArray[np.int64], layers: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Floats:
    """(N,) factor on the peak height from the oxygen vacancies and the intensity step of an edge.

    ``layers`` are counted from the outermost plane of the moving site (vacancies) and of the crystal (step).
    """
    strength = np.where((site == _brightest(scene)) & (layers[1] < edge.step_layers), edge.step, 1.0)
    for name, factor in edge.beyond_strength.items():
        strength[(site == scene.motif.site(name)) & (layers[1] < 0)] *= factor
    for number, fraction in enumerate(edge.vacancies):
        strength[scene.motif.oxygen[site] & (layers[0] == number)] *= 1 - fraction
    return strength


def _grid(scene: Scene) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Sites, cells and ideal places of all columns within reach of the frame.

    The disc they fill and their order do not depend on the rotation.
    """
    motif, start = scene.motif, origin(scene)
    tail = scene.look.tail_ratio if scene.look.tail > 0 else 1.0
    walked = SPARE_A + 3 * (scene.dose.frames - 1) ** 0.5 * scene.scan.drift_pm / 100
    radius = scene.radius_A + WINDOW * tail * float(widths(scene).max()) + walked
    steps = np.linalg.norm(np.linalg.inv(motif.cell_A), axis=0).max() * (radius + np.linalg.norm(start))
    line = np.arange(-int(steps) - 2, int(steps) + 3)
    cells = np.stack([axis.ravel() for axis in np.meshgrid(line, line, indexing="ij")], axis=1)
    hk = np.repeat(cells, len(motif.sites), axis=0)
    site = np.tile(np.arange(len(motif.sites)), len(cells))
    ideal = start + (hk + motif.fractions[site]) @ motif.cell_A
    near = (np.hypot(ideal[:, 0], ideal[:, 1]) < radius) & (contrast(scene, "HAADF") > 0)[site]
    return site[near], hk[near], ideal[near]
