"""A small analysis made by hand: KTaO3 along [1-10] below a (111) interface, with known displacements."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.crystal import project
from stemdisp.flags import Flag
from stemdisp.materials import KTaO3
from stemdisp.model.analysis import Analysis
from stemdisp.model.cells import UnitCells
from stemdisp.model.columns import Columns
from stemdisp.model.fields import VectorField
from stemdisp.model.interface import Interface
from stemdisp.model.lattice import Lattice
from stemdisp.model.micrograph import InputFile, Micrograph, PixelSize, Signal
from stemdisp.model.profile import Profile
from stemdisp.model.quality import Check, Quality
from stemdisp.model.side import Side
from stemdisp.profile_entry import ProfileEntry
from stemdisp.recipe import for_material
from stemdisp.stages.external import external
from stemdisp.stages.maps import maps

PX_PM = 12.0
NX, NY = 380, 340
EDGE_Y = 70.0
AMPLITUDE = {"Ta": 1.0, "K": 0.14, "O1": 0.05, "O2": 0.05, "O": 0.05}


def _lattice() -> Lattice:
    motif = project(KTaO3, (1, -1, 0))
    up = motif.reciprocal(motif.rows((1, 1, 1)))
    turn = np.pi / 2 - np.arctan2(up[1], up[0])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    cell = motif.cell_A @ rotation.T * 100 / PX_PM * np.array([1, -1])
    return Lattice(motif, np.array([NX / 2, NY / 2]), cell[0], cell[1])


def _columns(lattice: Lattice, rng: np.random.Generator) -> Columns:
    motif, rows = lattice.motif, []
    for h in range(-40, 41):
        for k in range(-40, 41):
            for site in range(len(motif.sites)):
                x, y = lattice.position(np.array([[h, k]]), np.array([site]))[0]
                if 4 < x < NX - 5 and EDGE_Y < y < NY - 5:
                    rows.append((h, k, site, x, y))
    table = np.array(rows)
    n = len(table)
    flags = np.zeros(n, dtype=np.int64)
    flags[rng.choice(n, 5, replace=False)] = int(Flag.WEAK)
    flags[:3] = int(Flag.PREDICTED)
    return Columns.at(
        table[:, 3:5],
        motif.sites,
        ("HAADF", "ABF"),
        site=table[:, 2].astype(np.int64),
        hk=table[:, :2].astype(np.int64),
        island=np.zeros(n, dtype=np.int64),
        cov=np.broadcast_to(np.eye(2) * 0.05**2, (n, 2, 2)).copy(),
        amplitude=np.array([AMPLITUDE[motif.sites[int(s)]] for s in table[:, 2]]),
        flags=flags,
    )


def _image(columns: Columns, rng: np.random.Generator, sign: int) -> np.ndarray:
    y, x = np.mgrid[0:NY, 0:NX].astype(float)
    image = np.where(y < EDGE_Y, 0.12, 0.02) + rng.normal(0, 0.03, (NY, NX))
    for (cx, cy), amplitude in zip(columns.xy, columns.amplitude, strict=True):
        box = np.s_[max(int(cy) - 14, 0) : int(cy) + 15, max(int(cx) - 14, 0) : int(cx) + 15]
        strength = amplitude if sign > 0 else -(amplitude**0.35)
        image[box] += strength * np.exp(-((x[box] - cx) ** 2 + (y[box] - cy) ** 2) / (2 * 4.0**2))
    return 1000 * (image + (0 if sign > 0 else 1.2))


def _cells(columns: Columns, lattice: Lattice) -> UnitCells:
    moving = np.flatnonzero(columns.of_site("K"))
    row = {(int(h), int(k), int(s)): i for i, ((h, k), s) in enumerate(zip(columns.hk, columns.site, strict=True))}
    ta = lattice.motif.site("Ta")
    reference = np.array(
        [
            [row.get((int(h + dh), int(k + dk), ta), -1) for dh, dk in lattice.motif.neighbours("K", "Ta")]
            for h, k in columns.hk[moving]
        ]
    )
    xy = np.where((reference >= 0).all(axis=1)[:, None], columns.xy[reference].mean(axis=1), np.nan)
    flags = np.where(np.isfinite(xy).all(axis=1), 0, int(Flag.INCOMPLETE)).astype(np.int64)
    return UnitCells("K", "Ta", columns.hk[moving], moving, reference, xy, flags)


def _profile(interface: Interface, field: VectorField) -> Profile:
    layers = np.arange(interface.layer.max() + 1)
    parallel, normal = field.along(interface.parallel), field.along(interface.normal)
    values: dict[str, list[float]] = {}
    for layer in layers:
        rows = (interface.layer == layer) & field.valid
        n = int(rows.sum())
        p, q = (parallel[rows], normal[rows]) if n >= 3 else (np.full(3, np.nan),) * 2
        row = {
            "distance_nm": interface.distance_nm[interface.layer == layer].mean(),
            "n": n,
            "normal_pm": q.mean(),
            "normal_sd_pm": q.std(),
            "normal_sem_pm": q.std() / max(n, 1) ** 0.5,
            "parallel_pm": p.mean(),
            "parallel_sd_pm": p.std(),
            "parallel_sem_pm": p.std() / max(n, 1) ** 0.5,
            "magnitude_pm": np.hypot(p.mean(), q.mean()),
            "polarization_uC_cm2": np.hypot(p.mean(), q.mean()) * 0.292 / 0.81,
            "coherence": 0.9 if layer < 4 else 0.3,
            "p_value": 1e-6 if layer < 4 else 0.4,
            "o_contrast": 1 - 0.25 * np.exp(-layer / 2.0),
            "o_contrast_sem": 0.015,
            "vacancy_rich": float(layer < 3),
            "magnitude_sem_pm": q.std() / max(n, 1) ** 0.5,
            "shift_p_value": 1e-9 if layer < 4 else 0.5,
            "significant": float(layer < 4),
            "o_contrast_p_value": 1e-4 if layer < 3 else 0.5,
            "expansion_pm": 1.0 - layer,
            "expansion_sem_pm": 0.3,
            "atom_normal_pm": q.mean() / 0.76,
            "atom_normal_sem_pm": q.std() / max(n, 1) ** 0.5 / 0.76,
            "atom_parallel_pm": p.mean() / 0.76,
            "atom_parallel_sem_pm": p.std() / max(n, 1) ** 0.5 / 0.76,
            "p_normal_uC_cm2": 0.36 * q.mean(),
            "p_normal_sem_uC_cm2": 0.36 * q.std() / max(n, 1) ** 0.5,
            "p_parallel_uC_cm2": 0.36 * p.mean(),
            "p_parallel_sem_uC_cm2": 0.36 * p.std() / max(n, 1) ** 0.5,
            **{f"strain_{way}_{what}percent": np.nan for way in ("normal", "parallel") for what in ("", "sem_")},
        }
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return Profile(layer=layers, **{name: np.array(value) for name, value in values.items()})


def _quality() -> Quality:
    return Quality(
        (
            Check("calibration", 0.4, 0.1, "%", "the lattice in the image is 0.4 % off the known one"),
            Check("bulk offset", 6.1, 0.4, "pm", "the bulk mean of 6.1 pm may be a tilt of some mrad", warn=True),
            Check("scan jitter", 1.2, None, "pm", "rows are displaced by about 1.2 pm against each other"),
        )
    )


def build_analysis() -> Analysis:
    """The analysis; deterministic."""
    rng = np.random.default_rng(7)
    lattice = _lattice()
    columns = _columns(lattice, rng)
    cells = _cells(columns, lattice)
    spacing = KTaO3.lattice_A * 100 / np.sqrt(3)
    y_pm = (columns.xy[cells.moving, 1] - EDGE_Y) * PX_PM
    layer = np.rint((y_pm - y_pm.min()) / spacing).astype(np.int64)
    curve, normal = np.array([[0.0, EDGE_Y], [NX - 1.0, EDGE_Y]]), np.array([0.0, -1.0])
    interface = Interface(curve, normal, (1, 1, 1), spacing, layer, y_pm / 1000, 0.03, "automatic")
    decay = np.exp(-layer / 3.0)
    uv = np.stack([24 * decay, -9 * decay], axis=1) + rng.normal(0, 2.5, (len(cells), 2))
    uv[~cells.complete] = np.nan
    cov = np.broadcast_to(np.eye(2) * 2.5**2, (len(cells), 2, 2)).copy()
    significant = np.hypot(uv[:, 0], uv[:, 1]) > 6.5
    field = VectorField(
        "pm",
        cells.xy,
        uv,
        cov,
        offset=np.array([5.2, -3.1]),
        offset_std=np.array([0.4, 0.4]),
        offset_cells=layer >= 7,
        significant=significant,
        assumption="K column against the midpoint of its two Ta columns; the mean of layers 7 and deeper subtracted.",
    )
    polarization = VectorField(
        "uC/cm2",
        cells.xy,
        uv * 0.36,
        cov * 0.36**2,
        significant=significant,
        assumption="K moved in rigid TaO3 with a Born effective charge of +1.156 e; displacement divided by 0.81 "
        "for the oxygen it shares the column with; bulk insulating charges, screening not considered.",
    )
    signals = {
        "HAADF": Signal("HAADF", _image(columns, rng, 1), 1),
        "ABF": Signal("ABF", _image(columns, rng, -1), -1),
    }
    micrograph = Micrograph(
        "KTO111",
        signals,
        PixelSize(PX_PM, PX_PM, "file"),
        (
            InputFile("KTO111_HAADF.tif", 517412, "ab" * 32, "tifffile"),
            InputFile("KTO111_ABF.tif", 517412, "cd" * 32, "tifffile"),
        ),
    )
    noisy = columns.replace(
        xy=columns.xy + np.random.default_rng(8).normal(0, 0.05, (len(columns), 2)),
        amplitude_std=0.01 * columns.amplitude,
        signal=lattice.motif.oxygen[columns.site].astype(np.int64),
    )
    assert micrograph.pixel_size
    return Analysis(
        micrograph,
        for_material("KTaO3", "1-10"),
        peaks=columns,
        lattice=lattice,
        columns=columns,
        by_signal={"HAADF": columns, "ABF": columns},
        cells=cells,
        sides=(Side(interface, profile=_profile(interface, field)),),
        displacement=field,
        polarization=polarization,
        maps=maps(noisy, cells, lattice, field, interface, micrograph.pixel_size),
        quality=_quality(),
        notes=("One more crystal grain of 12 columns was seen and not analysed.",),
        seconds={"find": 0.21, "basis": 0.05, "assign": 0.11, "refine": 1.93, "layers": 0.02},
    )


@pytest.fixture(scope="session")
def kto() -> Analysis:
    """KTaO3 (111) along [1-10] as :func:`build_analysis` makes it."""
    return build_analysis()


@pytest.fixture(scope="session")
def eels(kto: Analysis) -> Analysis:
    """The same beside a profile that was measured elsewhere, from the film to layer 8."""
    distance = np.arange(-0.4, 2.2, 0.2)
    entry = ProfileEntry(
        sha256=kto.micrograph.inputs[0].sha256,
        name="Ti3+ share, EELS",
        unit="%",
        distance_nm=tuple(distance),
        value=tuple(20 * np.exp(-distance / 0.6)),
        error=tuple(0.5 + 0.1 * distance),
    )
    assert kto.profile is not None
    return kto.having(recipe=kto.recipe.with_profile(entry), external=(external(entry, kto.profile),))
