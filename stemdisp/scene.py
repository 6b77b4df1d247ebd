"""What a synthetic micrograph shows, and what is true in it: nouns only.

Lengths are physical (angstrom, pm); "right" and "down" are those of the screen.  The crystal frame has y up and the
cell vector a pointing right before the picture is turned by ``View.rotation_deg`` about the centre of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .crystal import Motif, Plane, project
from .errors import RecipeError
from .fitting.grid import Grid
from .materials import KTaO3, Material, Zone
from .model.lattice import Lattice
from .motion import Motion, Vector

Floats = NDArray[np.float64]
SignalName = Literal["HAADF", "ABF"]
OutputType = Literal["uint8", "uint16", "float32", "float64"]


@dataclass(frozen=True, kw_only=True)
class View:
    """Where the picture is taken: pixel width and height (pm), shape (ny, nx), direction of the cell vector a (degrees,
    counter-clockwise as seen) and place of a lattice point relative to the image centre (crystal frame, angstrom)."""

    pixel_size_pm: Vector = (10.0, 10.0)
    shape: tuple[int, int] = (256, 256)
    rotation_deg: float = 3.0
    origin_A: Vector = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Look:
    """How columns look.

    ``amplitude`` (relative to the brightest site, 0 = the site does not exist) replaces single values of what
    ``Motif.contrast`` expects in HAADF, ``abf_amplitude`` in ABF; ``sigma_A`` replaces single widths (else 0.50 A for
    the brightest site, 0.55 A for the others). The profile is (1 - tail) G(sigma) + tail G(tail_ratio sigma), G of
    height 1. The scatters are relative standard deviations of single columns.

    ``ellipticity`` makes columns of a site ellipses with the same product of both widths s1 > s2: (s1 - s2) / (s1 + s2)
    and the direction of the long axis in degrees, counter-clockwise as seen; where there are ``elliptical_layers``,
    only those of these layers. ``width_trend`` is by how much of itself the width grows across the image, from left to
    right and from top to bottom; it is as given in the middle.
    """

    amplitude: Mapping[str, float] = field(default_factory=dict)
    abf_amplitude: Mapping[str, float] = field(default_factory=dict)
    sigma_A: Mapping[str, float] = field(default_factory=dict)
    tail: float = 0.0
    tail_ratio: float = 2.2
    amplitude_scatter: float = 0.0
    width_scatter: float = 0.0
    ellipticity: Mapping[str, Vector] = field(default_factory=dict)
    elliptical_layers: tuple[int, ...] = ()
    width_trend: Vector = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Dose:
    """What the detector counts.

    ``peak_counts`` is the HAADF peak of the brightest column above its surroundings, in one frame; the ABF background
    follows from the same beam unless ``abf_background_counts`` is given. The variations are the largest relative
    departure of the background from its mean. Without ``noise`` the expected counts are stored. Frames carry
    independent noise.
    """

    peak_counts: float = 500.0
    background_counts: float = 50.0
    background_variation: float = 0.2
    abf_background_counts: float | None = None
    abf_variation: float = 0.05
    noise: bool = True
    frames: int = 1
    dtype: OutputType = "float32"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Layers of two crystals in turn, which share a lattice: a superlattice.

    Layers follow ``plane`` and hold ``cells`` planes of the reference site each, of the first crystal and of the
    second; a layer of the first has its middle ``offset_A`` from the image centre along the plane's normal. The first
    is the scene's material; in the second, sites have their amplitudes multiplied by ``strength``, and planes stand
    farther apart by ``strain``. ``moved_pm`` displaces the moving site in the layers of each by (normal, parallel), on
    top of what the motion says; a pattern acts in the first crystal alone. The moving planes in between belong to
    neither and stay.
    """

    plane: Plane = (0, 1, 0)
    cells: tuple[int, int] = (8, 8)
    offset_A: float = 0.0
    strength: Mapping[str, float] = field(default_factory=dict)
    strain: float = 0.0
    moved_pm: tuple[Vector, Vector] = ((0.0, 0.0), (0.0, 0.0))


@dataclass(frozen=True, kw_only=True)
class Edge:
    """An edge of the crystal along a plane; the outward normal is the plane's.

    The line stands ``offset_A`` from the image centre along the normal; the outermost plane of the site
    ``termination`` (unset = the reference site: every moving column then has its neighbours) lies ``clearance_A``
    inside (unset = half the layer spacing). The line may climb along the edge by ``slope`` (to the right, normal up),
    and bow: inwards on both sides of the middle with a ``radius_A`` at its apex, outwards with a negative one. The
    crystal follows such a line in steps of whole layers, and layers are counted from the nearest step outwards.
    ``beyond`` says what lies outside. The brightest site's amplitude is multiplied by ``step`` in its outermost
    ``step_layers`` planes and, where ``beyond`` is crystal, everywhere beyond the line, where sites have their
    amplitudes multiplied by ``beyond_strength`` and layers their spacing by 1 + ``beyond_strain``.
    ``vacancies`` is the missing fraction of the pure oxygen columns' amplitude per layer, outermost first.
    ``cap_level`` is the mean HAADF signal of the amorphous cap as a fraction of the brightest peak.
    """

    plane: Plane = (1, 1, 1)
    offset_A: float = 0.0
    clearance_A: float | None = None
    termination: str | None = None
    slope: float = 0.0
    radius_A: float | None = None
    beyond: Literal["amorphous", "vacuum", "crystal"] = "amorphous"
    step: float = 1.0
    step_layers: int = 0
    beyond_strength: Mapping[str, float] = field(default_factory=dict)
    beyond_strain: float = 0.0
    vacancies: tuple[float, ...] = ()
    cap_level: float = 0.04

    def rise_A(self, along_A: Floats) -> Floats:
        """How far outwards the line stands from where it would be if straight, at distances along it."""
        bow = 0.0 if self.radius_A is None else along_A**2 / (2 * self.radius_A)
        return np.asarray(self.slope * along_A - bow)


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What the scan does: rms shift of each row along x (pm, redrawn for each frame), a linear map of positions
    about the image centre (rows of the 2 x 2 matrix act on (x, y) in px), the rms step from frame to frame (pm), and
    the shift (right, down; pm) of the first and the last row against the middle one by a drift that gets faster: it
    grows with the square of the distance from the middle."""

    row_jitter_pm: float = 0.0
    affine: tuple[Vector, Vector] = ((1.0, 0.0), (0.0, 1.0))
    drift_pm: float = 0.0
    creep_pm: Vector = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One synthetic micrograph; equal scenes give equal pixels.

    ``missing`` is the fraction of columns (of any site) that are not there. Geometry and noise have random streams of
    their own: changing the dose leaves every column where it was.
    """

    material: Material = KTaO3
    zone: Zone = (1, -1, 0)
    signals: tuple[SignalName, ...] = ("HAADF",)
    view: View = View()
    look: Look = field(default_factory=Look)
    dose: Dose = Dose()
    motion: Motion = field(default_factory=Motion)
    edge: Edge | None = None
    stack: Stack | None = None
    scan: Scan = Scan()
    missing: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        project(self.material, self.zone)
        for name, value in (("missing", self.missing), ("tail", self.look.tail)):
            if not 0 <= value < 1:
                raise RecipeError(f"scene: {name} = {value:g}: must be at least 0 and below 1")
        if self.dose.frames < 1:
            raise RecipeError(f"scene: frames = {self.dose.frames}: must be at least 1")
        beyond = self.edge.beyond_strength if self.edge is not None else {}
        second = self.stack.strength if self.stack is not None else {}
        look = self.look
        named = (
            look.amplitude,
            look.abf_amplitude,
            look.sigma_A,
            look.ellipticity,
            beyond,
            self.motion.site_pm,
            second,
        )
        for name in (name for names in named for name in names):
            self.motif.site(name)
        for name, (amount, _) in look.ellipticity.items():
            if not 0 <= amount < 1:
                raise RecipeError(f"scene: ellipticity of {name} = {amount:g}: must be at least 0 and below 1")
        if np.abs(look.width_trend).sum() >= 2:
            raise RecipeError(f"scene: width_trend = {look.width_trend}: columns at the rim would have no width")
        if look.elliptical_layers and self.edge is None:
            raise RecipeError("scene: elliptical_layers needs an edge to count layers from; give edge=Edge()")
        if self.motion.layers_pm and self.edge is None:
            raise RecipeError("scene: layers_pm needs an edge to count layers from; give edge=Edge()")
        if self.motion.pattern == "vortices" and self.stack is None:
            raise RecipeError("scene: vortices lie in the layers of a stack; give stack=Stack()")
        if self.stack is not None and (self.edge is not None or min(self.stack.cells) < 1):
            raise RecipeError("scene: a stack needs at least one cell in either layer, and goes with no edge")

    @property
    def motif(self) -> Motif:
        """The columns of the material along the zone axis."""
        return project(self.material, self.zone)

    @property
    def centre(self) -> Floats:
        """(2,) middle of the image in px."""
        ny, nx = self.view.shape
        return np.array([(nx - 1) / 2, (ny - 1) / 2])

    @property
    def turn(self) -> Floats:
        """(2, 2) row vectors of the crystal frame times this are vectors on the undistorted screen (right, down)."""
        t = np.radians(self.view.rotation_deg)
        return np.array([[np.cos(t), -np.sin(t)], [-np.sin(t), -np.cos(t)]])

    @property
    def to_pm(self) -> Floats:
        """(2, 2) row vectors in px times this are pm on the undistorted screen (right, down)."""
        return np.asarray(np.linalg.inv(np.array(self.scan.affine).T) @ np.diag(self.view.pixel_size_pm))

    @property
    def to_px(self) -> Floats:
        """(2, 2) row vectors of the crystal frame (angstrom) times this are px."""
        return np.asarray(100.0 * self.turn @ np.linalg.inv(self.to_pm))

    @property
    def metric(self) -> Floats:
        """(2, 2) squared length in angstrom of a vector d in px: d metric d'."""
        return np.asarray(self.to_pm @ self.to_pm.T / 1e4)

    @property
    def radius_A(self) -> float:
        """Distance of the farthest corner from the image centre in angstrom."""
        ny, nx = self.view.shape
        corners = np.array([[nx, ny], [nx, -ny]]) / 2 @ self.to_pm / 100
        return float(np.linalg.norm(corners, axis=1).max())

    def facing(self, normal_deg: float) -> Scene:
        """The same scene turned so that its edge's outward normal points to ``normal_deg`` (counter-clockwise as seen).

        Raises RecipeError where there is no edge.
        """
        if self.edge is None:
            raise RecipeError("scene: there is no edge to turn; give edge=Edge()")
        x, y = self.motif.reciprocal(self.motif.rows(self.edge.plane))
        turned = normal_deg - float(np.degrees(np.arctan2(y, x)))
        return replace(self, view=replace(self.view, rotation_deg=turned))


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Everything that is true in a synthetic micrograph; N columns stand in the frame, missing ones included.

    site
        (N,) name of the site.
    hk
        (N, 2) cell indices on the lattice ``origin + (hk + fraction) @ [a, b]``.
    xy
        (N, 2) position in px, scan distortion included, row jitter (a noise of zero mean) and tilt not.
    ideal_xy
        (N, 2) the same without any displacement.
    displacement_pm
        (N, 2) physical displacement from the ideal lattice (right, down), jitter included, tilt not.
    layer
        (N,) layer, 0 = outermost plane of the moving site; -1 = none.
    present
        (N,) False for missing columns.
    amplitude
        per signal, (N,) peak height in counts of one frame, negative in ABF, 0 for missing columns.
    sigma_A
        (N,) width of the profile's core, the geometric mean of both where it is elliptical; ``tail`` and ``tail_ratio``
        as in :class:`Look`.
    ellipticity
        (N, 2) (s1 - s2) / (s1 + s2) times (cos 2t, sin 2t), t = direction of the long axis as seen.
    to_pm
        (2, 2) undoes the scan but for its creep: a vector d in px is ``d @ to_pm`` in pm (right, down).
    tilt_px
        per signal, (N, 2) apparent shift in that signal.
    background, expected
        per signal, (ny, nx) counts of one frame without columns / with columns (first frame).
    stored_per_count
        per signal, factor between counts of one frame and stored values.
    interface_point, interface_normal
        (2,) a point of the edge in px and its outward normal (right, down; physical proportions), or None.
    interface_curve
        (P, 2) points of the edge in px, from end to end of the image and farther, or None.
    drift_px
        (F, 2) shift of each frame against the first.
    """

    motif: Motif
    site: NDArray[np.str_]
    hk: NDArray[np.int64]
    xy: Floats
    ideal_xy: Floats
    displacement_pm: Floats
    layer: NDArray[np.int64]
    present: NDArray[np.bool_]
    amplitude: Mapping[str, Floats]
    sigma_A: Floats
    ellipticity: Floats
    tail: float
    tail_ratio: float
    to_pm: Floats
    tilt_px: Mapping[str, Floats]
    background: Mapping[str, Floats]
    expected: Mapping[str, Floats]
    stored_per_count: Mapping[str, float]
    origin: Floats
    a: Floats
    b: Floats
    pixel_size_pm: Vector
    interface_point: Floats | None
    interface_normal: Floats | None
    interface_curve: Floats | None
    drift_px: Floats

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def lattice(self) -> Lattice:
        """The ideal lattice as the image shows it."""
        return Lattice(self.motif, self.origin, self.a, self.b)

    @property
    def site_index(self) -> NDArray[np.int64]:
        """(N,) index of each column's site in ``motif.sites``."""
        return np.array([self.motif.sites.index(name) for name in self.site], dtype=np.int64)

    @property
    def metric(self) -> Floats:
        """(2, 2) metric of a round profile: G(s) = exp(-d metric d' / (2 s^2)) for d in px and s in angstrom."""
        return np.asarray(self.to_pm @ self.to_pm.T / 1e4)

    @property
    def sigma_px(self) -> Floats:
        """(N, 2) width of the profile's core along x and along y through the centre, in px."""
        return np.asarray(self.sigma_A[:, None] / np.sqrt(np.diag(self.metric)))

    def position(self, signal: str) -> Floats:
        """(N, 2) position in px as that signal shows it (tilt included)."""
        return self.xy + self.tilt_px[signal]

    def nearest(self, xy: Floats, *, within_px: float = np.inf) -> NDArray[np.int64]:
        """(M,) row of the present column nearest to each of ``xy`` (M, 2); -1 where none lies within that distance."""
        from scipy.spatial import cKDTree

        rows, places = np.flatnonzero(self.present), np.asarray(xy, dtype=float).reshape(-1, 2)
        found = np.full(len(places), -1, dtype=np.int64)
        known = np.flatnonzero(np.isfinite(places).all(axis=1))
        if len(rows) and len(known):
            distance, near = map(np.asarray, cKDTree(self.xy[rows]).query(places[known]))
            found[known] = np.where(distance <= within_px, rows[near], -1)
        return found

    def cells(self, signal: str | None = None) -> tuple[NDArray[np.int64], Floats]:
        """Rows (M,) of moving columns whose reference neighbours are all there, and their true displacement (M, 2), pm.

        That is the distance from the centroid of those neighbours, right and down, before scan distortion; ``signal``
        adds the apparent shift of that signal.
        """
        material = self.motif.material
        moved = self.displacement_pm
        if signal is not None:
            moved = moved + self.tilt_px[signal] @ self.to_pm
        reference = np.flatnonzero((self.site == material.reference) & self.present)
        rows = np.flatnonzero((self.site == material.moving) & self.present)
        offsets = self.motif.neighbours(material.moving, material.reference)
        around = Grid.of(self.hk[reference], reference).at(self.hk[rows][:, None, :] + offsets)
        complete = (around >= 0).all(axis=1)
        rows, around = rows[complete], around[complete]
        return rows, moved[rows] - moved[around].mean(axis=1)
