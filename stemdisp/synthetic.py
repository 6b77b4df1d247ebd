"""Micrographs with known truth: columns of a crystal as a scanning microscope would count them.

    micrograph, truth = simulate(Scene(zone=(0, 0, 1), dose=Dose(peak_counts=2000)))

Profiles are point-sampled at pixel centres, in windows wide enough that nothing visible is cut off.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .materials import ATOMIC_NUMBER, HAADF_EXPONENT
from .model.micrograph import Micrograph, PixelSize, Signal
from .motion import Motion
from .scene import Dose, Edge, Look, Scan, Scene, SignalName, Truth, View
from .specimen import WINDOW, Specimen, build_specimen, contrast, displacement_pm, origin, outward

__all__ = ["Dose", "Edge", "Look", "Motion", "Scan", "Scene", "Truth", "View", "simulate", "simulate_frames"]

Floats = NDArray[np.float64]

HAADF_PEAK, ABF_BACKGROUND, ABF_DEPTH = 0.074, 0.71, 0.26
"""Ta peak and ABF background as fractions of the beam, Ta depth as one of that background: multislice of KTaO3
[1-10], 5 nm thick, 0.8 A source."""

CAP_DENSITY_A3 = 1 / 62.0
"""Formula units LaAlO3 per cubic angstrom in the cap: the crystal's 1 / 54.4, 12 % less dense."""

CAP_THICKNESS_A, CAP_SIGMA_A = 45.0, 0.6
CAP_ATOMS = {"La": (1, 57), "Al": (1, 13), "O": (3, ATOMIC_NUMBER["O"])}
CAP_ABF_DEPTH = 0.02
"""How much darker (of the background) the cap is in ABF on average."""

FULL_SCALE = 0.95
"""Part of an integer type's range that scaled counts fill."""

BATCH = 1024
"""Columns whose profiles are computed at once."""

CURVE_POINTS = 201
"""Points that the truth's edge is drawn with."""

_CAP, _BACKGROUND, _SCAN, _NOISE = range(4, 8)


def _stream(scene: Scene, which: int, part: int = 0) -> np.random.Generator:
    return np.random.default_rng([scene.seed, which, part])


def _add_columns(image: Floats, xy: Floats, height: Floats, sigma: Floats, metric: Floats, shift: Floats) -> None:
    """Add height exp(-d metric d' / (2 sigma^2)) at each of ``xy`` (N, 2), with one ``metric`` (2, 2) or one for each
    (N, 2, 2); row y of ``image`` samples x + shift[y]."""
    ny, nx = image.shape
    each = np.broadcast_to(metric, (len(xy), 2, 2))
    level = each[:, 0, 0]
    slope = each[:, 0, 1] / level
    upright = each[:, 1, 1] - slope * each[:, 0, 1]
    reach = WINDOW * sigma[:, None] * np.sqrt(np.linalg.inv(each)[:, [0, 1], [0, 1]])
    reach[:, 0] += np.abs(shift).max()
    low = np.maximum(np.ceil(xy - reach), 0).astype(int)
    high = np.minimum(np.floor(xy + reach) + 1, [nx, ny]).astype(int)
    drawn = np.flatnonzero((high > low).all(axis=1) & (height != 0))
    inverse = -0.5 / sigma**2
    straight = not slope.any() and not shift.any()
    for first in range(0, len(drawn), BATCH):
        rows = drawn[first : first + BATCH]
        inner = np.arange(int((high[rows] - low[rows]).max()))
        dx, dy = (low[rows, i, None] + inner - xy[rows, i, None] for i in (0, 1))
        down = height[rows, None] * np.exp((inverse[rows] * upright[rows])[:, None] * dy**2)
        right = np.exp((inverse[rows] * level[rows])[:, None] * dx**2) if straight else dx
        for row, y_part, x_part, tilt in zip(rows, down, right, slope[rows, None] * dy, strict=True):
            (x0, y0), (x1, y1) = low[row].tolist(), high[row].tolist()
            across = x_part[: x1 - x0]
            if not straight:
                sheared = across + (shift[y0:y1] + tilt[: y1 - y0])[:, None]
                across = np.exp(inverse[row] * level[row] * sheared**2)
            image[y0:y1, x0:x1] += y_part[: y1 - y0, None] * across


def _smooth(scene: Scene, variation: float) -> Floats:
    """(ny, nx) slowly varying factor with mean about 1, nowhere further than ``variation`` from 1."""
    ny, nx = scene.view.shape
    if variation == 0:
        return np.ones((ny, nx))
    # Crystal-frame coordinates (angstrom, from the image centre) are linear in those of a pixel.
    back, span, draw = np.linalg.inv(scene.to_px), 2 * scene.radius_A, _stream(scene, _BACKGROUND)
    x, y = np.arange(nx) - scene.centre[0], np.arange(ny) - scene.centre[1]
    down, along = [], []
    for turn, phase in draw.uniform(0, 2 * np.pi, (3, 2)):
        per_px = back @ [np.cos(turn), np.sin(turn)] * (2 * np.pi / (span * draw.uniform(0.8, 1.6)))
        down += [np.cos(per_px[1] * y + phase) / 3, -np.sin(per_px[1] * y + phase) / 3]
        along += [np.cos(per_px[0] * x), np.sin(per_px[0] * x)]
    return np.asarray(1 + variation * (np.stack(down, axis=1) @ np.stack(along)))


def _cap_atoms(scene: Scene, edge: Edge) -> list[tuple[Floats, float]]:
    """Per element: places (M, 2) of the cap's atoms in px from the image centre, and their strength.

    They fill a square that depends on neither rotation nor frame, so that every frame sees the same atoms.
    """
    normal, _ = outward(scene, edge)
    walked = np.linalg.norm(_drift(scene) @ scene.to_pm, axis=1).max() / 100
    half = float(scene.radius_A + walked) + 10 * CAP_SIGMA_A
    draw = _stream(scene, _CAP)
    units = int(CAP_DENSITY_A3 * CAP_THICKNESS_A * 4 * half**2)
    atoms = [(draw.uniform(-half, half, (count * units, 2)), z**HAADF_EXPONENT) for count, z in CAP_ATOMS.values()]
    along = np.array([normal[1], -normal[0]])
    return [
        (place[place @ normal > edge.offset_A + edge.rise_A(place @ along)] @ scene.to_px, strength)
        for place, strength in atoms
    ]


def _cap(scene: Scene, edge: Edge, drift: Floats) -> Floats:
    """(ny, nx) projected amorphous LaAlO3 beyond the edge as smooth blobs, of mean 1 far inside the cap."""
    ny, nx = scene.view.shape
    sigma = CAP_SIGMA_A / np.sqrt(np.diag(scene.metric))
    pad = np.ceil(5 * sigma).astype(int)
    height, width = ny + 2 * pad[1], nx + 2 * pad[0]
    flat = np.zeros(height * width)
    for place, strength in _cap_atoms(scene, edge):
        x, y = np.rint(place + scene.centre + drift + pad).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        flat += strength * np.bincount((y * width + x)[inside], minlength=flat.size)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    blur = np.exp(-2 * np.pi**2 * ((sigma[0] * fx) ** 2 + (sigma[1] * fy) ** 2))
    blurred = np.fft.irfft2(np.fft.rfft2(flat.reshape(height, width)) * blur, s=(height, width))
    unit = sum(count * z**HAADF_EXPONENT for count, z in CAP_ATOMS.values())
    mean = unit * CAP_DENSITY_A3 * CAP_THICKNESS_A / abs(np.linalg.det(scene.to_px))
    return np.asarray(np.maximum(blurred[pad[1] : pad[1] + ny, pad[0] : pad[0] + nx], 0) / mean)


def _background(scene: Scene, signal: SignalName, drift: Floats) -> Floats:
    """(ny, nx) expected counts without the crystal's columns."""
    dose, edge = scene.dose, scene.edge
    cap = _cap(scene, edge, drift) if edge is not None and edge.beyond == "amorphous" else np.zeros(scene.view.shape)
    if signal == "ABF":
        return _abf_background(scene) * _smooth(scene, dose.abf_variation) * np.exp(-CAP_ABF_DEPTH * cap)
    level = edge.cap_level if edge is not None else 0.0
    return dose.background_counts * _smooth(scene, dose.background_variation) + level * dose.peak_counts * cap


def _abf_background(scene: Scene) -> float:
    given = scene.dose.abf_background_counts
    return scene.dose.peak_counts * ABF_BACKGROUND / HAADF_PEAK if given is None else given


def _peak(scene: Scene, signal: SignalName) -> float:
    """Counts of the brightest column's peak, negative where columns are dark."""
    return -ABF_DEPTH * _abf_background(scene) if signal == "ABF" else scene.dose.peak_counts


def _tilt(scene: Scene, signal: SignalName, columns: Specimen) -> Floats:
    """(N, 2) apparent shift in px."""
    moving = columns.site == scene.motif.site(scene.material.moving)
    shift = np.array(scene.motion.tilt_pm.get(signal, (0.0, 0.0))) @ np.linalg.inv(scene.to_pm)
    return np.where(moving[:, None], shift, 0.0)


def _expected(scene: Scene, signal: SignalName, columns: Specimen, xy: Floats, frame: int) -> tuple[Floats, Floats]:
    """Expected counts (ny, nx) of one frame without and with the columns at ``xy``."""
    look, metric = scene.look, _metrics(scene, columns)
    drift = _drift(scene)[frame]
    background = _background(scene, signal, drift)
    height = _heights(scene, signal, columns)
    jitter = scene.scan.row_jitter_pm * _stream(scene, _SCAN, 1 + frame).standard_normal(scene.view.shape[0])
    shift = jitter / scene.view.pixel_size_pm[0]
    image = background.copy()
    place = xy + _tilt(scene, signal, columns) + drift
    _add_columns(image, place, (1 - look.tail) * height, columns.sigma_A, metric, shift)
    if look.tail > 0:
        _add_columns(image, place, look.tail * height, look.tail_ratio * columns.sigma_A, metric, shift)
    return background, np.maximum(image, 0)


def _metrics(scene: Scene, columns: Specimen) -> Floats:
    """(2, 2) metric that all columns have, or (N, 2, 2) where some are elliptical."""
    if not columns.ellipticity.any():
        return scene.metric
    along, across = columns.ellipticity.T
    size = along**2 + across**2
    # Inverse second moments of an ellipse (x right, y down) of which both widths have the product 1.
    form = np.array([[1 + size - 2 * along, 2 * across], [2 * across, 1 + size + 2 * along]]) / (1 - size)
    return np.asarray(scene.to_pm @ form.transpose(2, 0, 1) @ scene.to_pm.T / 1e4)


def _heights(scene: Scene, signal: SignalName, columns: Specimen) -> Floats:
    return np.asarray(_peak(scene, signal) * contrast(scene, signal)[columns.site] * columns.strength * columns.present)


def _creep(scene: Scene, y: Floats) -> Floats:
    """(N, 2) shift in px of what stands in rows ``y`` (N,) by a drift that gets faster."""
    along = 2 * y / max(scene.view.shape[0] - 1, 1) - 1
    return np.asarray(along[:, None] ** 2 * scene.scan.creep_pm / scene.view.pixel_size_pm)


def _drift(scene: Scene) -> Floats:
    """(F, 2) shift of each frame against the first in px: a random walk."""
    steps = scene.scan.drift_pm * _stream(scene, _SCAN).standard_normal((scene.dose.frames, 2))
    steps[0] = 0
    return np.asarray(np.cumsum(steps / scene.view.pixel_size_pm, axis=0))


def _truth(scene: Scene, columns: Specimen, drift: Floats) -> tuple[Truth, Floats]:
    """The truth (without images yet) of the columns in the frame, and where all columns are in px (N, 2)."""
    to_px, back, centre = scene.to_px, scene.to_pm, scene.centre
    moved = displacement_pm(scene, columns)
    ideal = centre + columns.ideal @ to_px
    ideal = ideal + _creep(scene, ideal[:, 1])
    xy = ideal + moved @ np.linalg.inv(back)
    ny, nx = scene.view.shape
    inside = ((xy >= -0.5) & (xy < [nx - 0.5, ny - 0.5])).all(axis=1)
    point, normal, curve = None, None, None
    if scene.edge is not None:
        normal_A, _ = outward(scene, scene.edge)
        point = centre + scene.edge.offset_A * normal_A @ to_px
        normal = normal_A @ scene.turn
        curve = centre + _edge_curve_A(scene, scene.edge) @ to_px
    truth = Truth(
        motif=scene.motif,
        site=np.array(scene.motif.sites)[columns.site[inside]],
        hk=columns.hk[inside],
        xy=xy[inside],
        ideal_xy=ideal[inside],
        displacement_pm=moved[inside],
        layer=columns.layer[inside],
        present=columns.present[inside],
        amplitude={s: _heights(scene, s, columns)[inside] for s in scene.signals},
        sigma_A=columns.sigma_A[inside],
        ellipticity=columns.ellipticity[inside],
        tail=scene.look.tail,
        tail_ratio=scene.look.tail_ratio,
        to_pm=back,
        tilt_px={s: _tilt(scene, s, columns)[inside] for s in scene.signals},
        background={},
        expected={},
        stored_per_count={},
        origin=centre + origin(scene) @ to_px,
        a=scene.motif.cell_A[0] @ to_px,
        b=scene.motif.cell_A[1] @ to_px,
        pixel_size_pm=scene.view.pixel_size_pm,
        interface_point=point,
        interface_normal=normal,
        interface_curve=curve,
        drift_px=drift,
    )
    return truth, xy


def _edge_curve_A(scene: Scene, edge: Edge) -> Floats:
    """(P, 2) points of the edge in the crystal frame, in angstrom."""
    normal, _ = outward(scene, edge)
    along = np.linspace(-scene.radius_A, scene.radius_A, CURVE_POINTS)
    return np.asarray(along[:, None] * [normal[1], -normal[0]] + (edge.offset_A + edge.rise_A(along))[:, None] * normal)


def simulate_frames(scene: Scene) -> tuple[dict[str, Floats], Truth]:
    """The raw frames of a scene: per signal (F, ny, nx) counts with drift and noise, and the truth of the first."""
    columns = build_specimen(scene)
    truth, xy = _truth(scene, columns, _drift(scene))
    counts: dict[str, Floats] = {}
    background: dict[str, Floats] = {}
    expected: dict[str, Floats] = {}
    for signal in scene.signals:
        frames = np.empty((scene.dose.frames, *scene.view.shape))
        for frame in range(scene.dose.frames):
            empty, full = _expected(scene, signal, columns, xy, frame)
            noise = _stream(scene, _NOISE, 2 * frame + (signal == "ABF"))
            frames[frame] = noise.poisson(full) if scene.dose.noise else full
            if frame == 0:
                background[signal], expected[signal] = empty, full
        counts[signal] = frames
    ones: dict[str, float] = dict.fromkeys(scene.signals, 1.0)
    return counts, replace(truth, background=background, expected=expected, stored_per_count=ones)


def _store(counts: Floats, dose: Dose) -> tuple[NDArray[np.generic], float]:
    """Counts as the file would hold them, and the factor that was applied (1 where the type can hold the counts)."""
    if dose.dtype in ("float32", "float64"):
        return counts.astype(dose.dtype), 1.0
    top = float(np.iinfo(dose.dtype).max)
    whole = dose.noise and dose.frames == 1
    factor = 1.0 if whole and counts.max() <= top else FULL_SCALE * top / max(float(counts.max()), 1e-9)
    return np.rint(counts * factor).astype(dose.dtype), factor


def simulate(scene: Scene) -> tuple[Micrograph, Truth]:
    """The micrograph of a scene and what is true in it.

    Several frames are averaged as if aligned perfectly (each keeps its own noise and row jitter; drift has no effect);
    :func:`simulate_frames` gives them one by one. Integer types hold counts where they fit, else scaled
    counts: a note says so.

    >>> from stemdisp.synthetic import Scene, View, simulate
    >>> micrograph, truth = simulate(Scene(view=View(shape=(64, 80))))
    >>> micrograph.shape, len(truth)
    ((64, 80), 13)
    """
    counts, truth = simulate_frames(replace(scene, scan=replace(scene.scan, drift_pm=0.0)))
    signals: dict[str, Signal] = {}
    factors: dict[str, float] = {}
    notes: list[str] = []
    for name in scene.signals:
        image, factors[name] = _store(counts[name].mean(axis=0), scene.dose)
        signals[name] = Signal(name, image, -1 if name == "ABF" else 1)
        if factors[name] != 1:
            notes.append(f"{name}: counts were multiplied by {factors[name]:.4g} to be stored as {scene.dose.dtype}")
    micrograph = Micrograph(
        name="synthetic",
        signals=signals,
        pixel_size=PixelSize(*scene.view.pixel_size_pm, origin="file"),
        notes=tuple(notes),
        frames=scene.dose.frames,
    )
    return micrograph, replace(truth, stored_per_count=factors)
