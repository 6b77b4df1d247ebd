"""Simulate the sample images: multislice HAADF and ABF of KTaO3 with known displacements.

Four systems, all at 200 kV, 25 mrad, focus on the entrance surface:

interface   amorphous LaAlO3 on KTaO3 (111), beam along [1-10]; K displaced, O missing
bulk        KTaO3 along [001], nothing displaced
weights     small periodic [1-10] cell: how far a K-O column image moves when only K moves
zone112     bulk KTaO3 along [11-2], every K displaced (in zone_112.py)

Run ``python make_multislice.py --cache DIR`` (about 40 CPU minutes per pair of phonon
configurations; needs abtem, ase, tifffile, scipy).  Detector images are cached in DIR, so
another source size costs seconds.  Conventions: arrays are [y, x]; x right, y down; pixel
centres at whole numbers.  Along [1-10], screen right is [11-2] and screen up [111].
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import abtem
import dask
import numpy as np
import zone_112
from multislice import (
    A_CELL,
    BASIS,
    DETECTORS_MRAD,
    PIXEL_A,
    SEEDS,
    SPACING,
    averaged,
    collect,
    column_truth,
    resample,
    save_tiff,
)
from scipy.spatial import cKDTree

UNIT_X = A_CELL / np.sqrt(6)  # K columns of one plane are 3 units apart, 4.885 A
UNIT_Z = A_CELL / np.sqrt(8)  # plane to plane along the beam, 1.41 A: one slice each
REPEATS = 8  # of 5.640 A along [1-10]: 45.1 A thick
INTERFACE_FILES = ("interface/KTO111_clean_{}.tif", "interface/KTO111_1e5_{}.tif")
BULK_FILE = "bulk/KTO001_HAADF.tif"
DOSE_E_A2 = 1e5

# Interface cell: 8 periods of 4.885 A by 24 planes of 2.303 A.  The PRISM replica pitch (cell
# over interpolation) is 9.77 x 13.82 A, a lattice vector of the crystal: any other pitch puts
# a replica of the probe on a Ta column when the probe is on K, and false peaks appear.
PERIODS, PLANES = 8, 24
Y_TA_OUT = 13.6  # y of the outermost Ta plane, A from the top of the cell
K_LAYERS = 18  # the last one lies 2.6 A from the cap across the periodic boundary
CAP_A = (1.2, 12.6)  # cap atoms lie between these y, A
DECAY_LAYERS = 3.0
INTERFACE_GRID = {"gpts": (700, 972), "interpolation": (4, 4), "slice_A": UNIT_Z}
FRAME_A = (0.3, 5.4)  # cell coordinates (x, y) of pixel (0, 0): inside the cap
FRAME_SHAPE = (436, 386)  # bottom edge 5 A above the last crystal plane
PROBE_SHIFT_PM = 20.0  # used to measure the weights
CORE_A = 1.0  # radius of the patch in which the weights are measured
SHARP_SOURCE_A = 0.5  # FWHM for which the weights are given too


@dataclass(frozen=True)
class Case:
    """What happens at an interface: its images bear this name, under which SEEDS has their phonons."""

    name: str
    d0_pm: tuple  # K displacement in layer 0: right [11-2], and up (y down: minus) [111]
    vacancies: tuple  # fraction of O missing in the KO3 layers 0, 1, 2, 3
    vacancy_seed: int
    tilt_mrad: tuple = (0.0, 0.0)  # of the crystal's zone axis against the beam, (x, y down)


INTERFACE = Case("interface", (26.0, -9.0), (0.30, 0.30, 0.20, 0.10), SEEDS["vacancies"])
# For the tests alone: K moved in the plane, out of it, or nowhere; other vacancies, other phonons, the same cap.
LAYER_CASES = (
    Case("along", (25.0, 0.0), (0.40, 0.30, 0.20, 0.10), SEEDS["vacancies"] + 100),
    Case("outward", (0.0, -25.0), (0.20, 0.40, 0.10), SEEDS["vacancies"] + 101),
    Case("still", (0.0, 0.0), (0.40, 0.40, 0.20, 0.10), SEEDS["vacancies"] + 102),
    Case("tilted", (25.0, 0.0), (), SEEDS["vacancies"] + 103, (2.0, 0.0)),
    Case("leaning", (0.0, 0.0), (), SEEDS["vacancies"] + 104, (0.0, 2.0)),
)

# Least distances in the cap, A: 5-10 % below usual bond lengths, so that packing succeeds.
# K and Ta of the crystal count as La and Al.
KINDS = {"La": 0, "K": 0, "Al": 1, "Ta": 1, "O": 2}
MIN_DISTANCE_A = np.array([[3.3, 3.0, 2.3], [3.0, 2.8, 1.75], [2.3, 1.75, 2.4]])
CAP_DENSITY = 0.9 * 5 / 54.4  # atoms per A3, 90 % of crystalline LaAlO3


def build_111(periods, planes, k_layers, y_first_k, offset_x):
    """KTaO3 seen along [1-10]: k_layers planes of K below one another, Ta above each.

    Layer n is the n-th KO3 plane from above, and the Ta plane directly above it.  K and one O
    alternate in the K-O columns (site K); the other two O of a formula unit share the O columns.
    """
    rows = []
    span = np.arange(-k_layers - 3 * periods, k_layers + 3 * periods)
    i, j, k = (g.ravel() for g in np.meshgrid(span, span, np.arange(-30, 31), indexing="ij"))
    near = (np.abs(i + j + k) <= k_layers + 2) & (np.abs(i - j) <= 2 * REPEATS + 2)
    i, j, k = i[near], j[near], k[near]
    for symbol, basis in BASIS.items():
        for b in basis:
            f, g, h = i + b[0], j + b[1], k + b[2]
            height, ux, uz = f + g + h, f + g - 2 * h, 2 * (f - g)
            layer = -height + (0.5 if symbol == "Ta" else 0.0)
            y = y_first_k - SPACING * height
            inside = (ux >= 0) & (ux < 3 * periods) & (uz >= 0) & (uz < 4 * REPEATS)
            inside &= (layer >= 0) & (layer < k_layers)
            site = "K" if symbol == "O" and b[2] == 0 else symbol
            x, z = (ux * UNIT_X + offset_x) % (3 * periods * UNIT_X), (uz + 0.5) * UNIT_Z
            places = zip(layer[inside], x[inside], y[inside], z[inside], strict=True)
            rows += [(symbol, site, int(n), *p) for n, *p in places]
    return collect((3 * periods * UNIT_X, planes * SPACING, 4 * REPEATS * UNIT_Z), rows)


def build_001(cells, repeats):
    """KTaO3 seen along [001], first K 1 A from the corner; Ta and O share the Ta columns."""
    rows = []
    i, j, k = (g.ravel() for g in np.indices((cells, cells, repeats)))
    for symbol, basis in BASIS.items():
        for b in basis:
            site = "Ta" if symbol == "O" and b[2] == 0 else symbol
            xyz = (np.stack([i, j, k], 1) + b) * A_CELL + (1.0, 1.0, 0.25 * A_CELL)
            xyz[:, :2] %= cells * A_CELL
            rows += [(symbol, site, None, *p) for p in xyz]
    return collect((cells * A_CELL, cells * A_CELL, repeats * A_CELL), rows)


def add_cap(model):
    """Fill the space above the crystal with randomly packed LaAlO3 (no two atoms too close)."""
    rng = np.random.default_rng(SEEDS["cap"])
    low = np.array([0.0, CAP_A[0], 0.0])
    high = np.array([model.cell[0], CAP_A[1], model.cell[2]])
    units = round(CAP_DENSITY * np.prod(high - low) / 5)
    symbols = np.array(["La", "Al", "O", "O", "O"] * units)
    xyz = np.concatenate([model.xyz, rng.uniform(low, high, (len(symbols), 3))])
    free = np.arange(len(xyz)) >= len(model.xyz)
    kind = np.array([KINDS[s] for s in np.concatenate([model.symbols, symbols])])
    for _ in range(1000):  # push overlapping atoms apart until none overlap
        pairs = cKDTree(xyz, boxsize=model.cell).query_pairs(3.4, output_type="ndarray")
        p, q = pairs[free[pairs].any(1)].T
        step = xyz[p] - xyz[q]
        step -= model.cell * np.round(step / model.cell)
        distance = np.linalg.norm(step, axis=1)
        overlap = MIN_DISTANCE_A[kind[p], kind[q]] - distance
        if overlap.max() < 0.02:
            break
        close = overlap > 0
        push = step[close] * (0.5 * overlap[close] / distance[close])[:, None]
        move = np.zeros_like(xyz)
        np.add.at(move, p[close], push)
        np.add.at(move, q[close], -push)
        xyz[free] += move[free]
        xyz[free, 1] = np.clip(xyz[free, 1], *CAP_A)
        xyz %= model.cell
    print(f"cap: {len(symbols)} atoms, worst overlap {overlap.max():.2f} A")
    column = np.concatenate([model.column, np.full(len(symbols), -1)])
    symbols = np.concatenate([model.symbols, symbols])
    return replace(model, symbols=symbols, xyz=xyz, column=column)


def build_interface(case):
    """Build the interface crystal: O removed, cap added; K still on their ideal places."""
    model = build_111(PERIODS, PLANES, K_LAYERS, Y_TA_OUT + SPACING / 2, 1.0)
    rng = np.random.default_rng(case.vacancy_seed)
    layer = np.array([model.columns[c]["layer"] for c in model.column])
    gone = np.zeros(len(layer), bool)
    for n, fraction in enumerate(case.vacancies):  # O of K-O and of O columns alike, exact number
        oxygen = np.flatnonzero((model.symbols == "O") & (layer == n))
        gone[rng.choice(oxygen, round(fraction * len(oxygen)), replace=False)] = True
    left = {k: getattr(model, k)[~gone] for k in ("symbols", "xyz", "column")}
    return add_cap(replace(model, **left))


def interface_shift_A(model, case):
    """Displacement (x, y down) in A of the K of every column: d0 exp(-n/3); O and Ta stay."""
    is_k = np.array([c["site"] == "K" for c in model.columns])
    layer = np.array([c["layer"] for c in model.columns], float)
    return 0.01 * np.outer(np.exp(-layer / DECAY_LAYERS) * is_k, case.d0_pm)


def simulate_interface(cache, pairs, case):
    """Cell, displacement (x, y) in A of every column and detector images of the whole cell, K displaced."""
    model = build_interface(case)
    shift = interface_shift_A(model, case)
    xyz = model.xyz.copy()
    k_atoms = model.symbols == "K"
    xyz[k_atoms, :2] += shift[model.column[k_atoms]]
    # A small tilt shears the crystal: every slice stands a little aside, half-way through none.
    xyz[:, :2] += 1e-3 * np.outer(xyz[:, 2] - 0.5 * model.cell[2], case.tilt_mrad)
    return model, shift, averaged(cache, case.name, pairs, model, xyz, **INTERFACE_GRID)


def build_weights_cell():
    """Small periodic [1-10] cell, one PRISM pitch of the interface, and its grid."""
    return build_111(2, 6, 6, 1.7, 1.0), {"gpts": (180, 250), "interpolation": 1, "slice_A": UNIT_Z}


def save_cells(cache, pairs, path):
    """Write the HAADF scans of the small cell (point source) and its columns, for the tests."""
    model, grid = build_weights_cell()
    labels = ("none", "K-x", "K-y", "KO-x", "KO-y")
    names = [f"weights-{label}" for label in labels]
    moved = [None if label == "none" else (label.split("-")[0], "xy".index(label[-1])) for label in labels]
    scans = {}
    for name, label, how in zip(names, labels, moved, strict=True):
        xyz = model.xyz.copy()
        if how:
            xyz[weights_mask(model, how[0]), how[1]] += 0.01 * PROBE_SHIFT_PM
        scans[label] = averaged(cache, name, pairs, model, xyz, **grid)["HAADF"].astype(np.float32)
    places = {axis: [c[f"{axis}_A"] for c in model.columns] for axis in "xy"}
    np.savez_compressed(
        path,
        cell_A=model.cell[:2],
        site=np.array([c["site"] for c in model.columns]),
        xy_A=np.stack([places["x"], places["y"]], axis=1),
        shift_pm=PROBE_SHIFT_PM,
        **scans,
    )


def save_layers(cache, pairs, path):
    """Write the scans of the whole cell (point source) and the truth of every case of LAYER_CASES, for the tests."""
    found = {}
    for case in LAYER_CASES:
        model, shift, raw = simulate_interface(cache, pairs, case)
        oxygen = model.counts("O")
        site = np.array([c["site"] for c in model.columns])
        full = np.array([oxygen[site == s].max() for s in site])
        found |= {f"{case.name}_{signal}": image.astype(np.float32) for signal, image in raw.items()}
        found[f"{case.name}_vacancies"] = np.pad(case.vacancies, (0, K_LAYERS - len(case.vacancies)))
        found[f"{case.name}_k_pm"] = 100 * shift
        found[f"{case.name}_oxygen"] = oxygen / np.maximum(full, 1)  # share of its O that a column has
    found |= {
        "case": np.array([case.name for case in LAYER_CASES]),
        "cell_A": model.cell[:2],
        "frame_A": np.array(FRAME_A),
        "frame_shape": np.array(FRAME_SHAPE),
        "y_interface_A": Y_TA_OUT - SPACING / 4,
        "site": site,
        "layer": np.array([c["layer"] for c in model.columns]),
        "xy_A": np.array([[c["x_A"], c["y_A"]] for c in model.columns]),
    }
    np.savez_compressed(path, **found)


def weights_mask(model, label):
    """Atoms that are moved to measure the weights: the K, or all atoms of the K-O columns."""
    with_k = np.array([c["site"] for c in model.columns])[model.column] == "K"
    return with_k & (model.symbols == "K") if label == "K" else with_k


def measure_weights(cache, pairs, source_fwhm_A):
    """Share of a K displacement that shows in the image of a full K-O column.

    Images: (a) nothing moved, (b) all K moved by d, (c) K and the O of their columns moved by
    d; same phonons in all, three times as many as elsewhere because weights scatter more.
    Weight = first moment along d of (b - a) in the column's core over that of (c - a); as a
    check, the least-squares factor between the two difference images.
    """
    model, grid = build_weights_cell()
    pairs = 3 * pairs
    base = averaged(cache, "weights-none", pairs, model, model.xyz, **grid)
    r = np.meshgrid(*[np.arange(-10, 11) * PIXEL_A] * 2)  # (x, y) about a column
    core = np.hypot(*r) <= CORE_A
    places = [(c["x_A"] - 1.0, c["y_A"] - 1.0) for c in model.columns if c["site"] == "K"]
    weights = {s: {} for s in DETECTORS_MRAD}
    for axis, name in enumerate("xy"):
        moved = {}
        for label in ("K", "KO"):
            xyz = model.xyz.copy()
            xyz[weights_mask(model, label), axis] += 0.01 * PROBE_SHIFT_PM
            moved[label] = averaged(cache, f"weights-{label}-{name}", pairs, model, xyz, **grid)
        for signal in DETECTORS_MRAD:
            change = [moved[label][signal] - base[signal] for label in ("K", "KO")]
            around = [(model.cell, p, core.shape, source_fwhm_A) for p in places]
            b, c = (core * [resample(image, *a) for a in around] for image in change)
            for key, to in ((name, r[axis]), (f"{name}_least_squares", c)):
                weights[signal][key] = round(float((b * to).sum() / (c * to).sum()), 4)
    return weights


def make_interface(cache, pairs, source_fwhm_A, out, weights):
    """Write the four interface images; return their entry of the truth."""
    model, shift, raw = simulate_interface(cache, pairs, INTERFACE)
    rng = np.random.default_rng(SEEDS["dose"])
    for signal in DETECTORS_MRAD:
        image = resample(raw[signal], model.cell, FRAME_A, FRAME_SHAPE, source_fwhm_A)
        counts = rng.poisson(np.clip(image, 0, 1) * DOSE_E_A2 * PIXEL_A**2)  # electrons
        clean, noisy = (out / name.format(signal) for name in INTERFACE_FILES)
        save_tiff(clean, image.astype(np.float32))
        save_tiff(noisy, counts.astype(np.uint16))
    y_interface = (Y_TA_OUT - SPACING / 4 - FRAME_A[1]) / PIXEL_A
    return {
        "pixel_size_pm": [100 * PIXEL_A] * 2,
        "shape": FRAME_SHAPE,
        "interface": {
            "y_px": round(y_interface, 4),
            "normal_xy": [0, -1],
            "definition": "half-way from the outermost Ta plane to where the next K plane would be",
        },
        "layer_definition": "K, O: number of the KO3 plane; Ta: of the KO3 plane just below it",
        "columns": column_truth(model, FRAME_SHAPE, FRAME_A, shift, weights),
    }


def make_bulk(cache, pairs, source_fwhm_A, out, weights):
    """Write the undisplaced [001] image; return its entry of the truth."""
    model = build_001(9, 12)
    # PRISM replica pitch 3 cells, 11.965 A; slices of half a cell hold one plane each.
    grid = {"gpts": (648, 648), "interpolation": (3, 3), "slice_A": A_CELL / 2}
    raw = averaged(cache, "bulk", pairs, model, model.xyz, **grid)
    shape = tuple(int(model.cell[i] / PIXEL_A) for i in (1, 0))
    image = resample(raw["HAADF"], model.cell, (0, 0), shape, source_fwhm_A)
    save_tiff(out / BULK_FILE, image.astype(np.float32))
    shift = np.zeros((len(model.columns), 2))
    return {
        "pixel_size_pm": [100 * PIXEL_A] * 2,
        "shape": shape,
        "thickness_A": round(model.cell[2], 3),
        "columns": column_truth(model, shape, (0, 0), shift, {"HAADF": weights["HAADF"]}),
    }


def add_zone_112(truth, entry):
    """Put the [11-2] pair into the truth; all other entries stay as they are."""
    truth["images"]["KTO112"] = entry
    truth["files"]["KTO112"] = {s: [zone_112.FILE.format(s)] for s in DETECTORS_MRAD}
    print(json.dumps(entry["weights"]))


def main():
    """Simulate what the cache lacks, then write images and truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for raw detector images")
    parser.add_argument("--pairs", type=int, default=2, help="antithetic phonon pairs")
    parser.add_argument("--source-fwhm", type=float, default=0.8, help="source size, FWHM in A")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="output folder")
    parser.add_argument("--cells", type=Path, help="write the scans of the small cell for the tests here, nothing else")
    parser.add_argument(
        "--layers", type=Path, help="write the scans of the layers' cases for the tests here, nothing else"
    )
    parser.add_argument("--only", choices=("weights", "interface", "bulk", "zone112"), help="one system")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    dask.config.set(scheduler="synchronous")
    abtem.config.set({"diagnostics.progress_bar": False, "precision": "float32", "fftw.threads": 1})

    if args.layers:
        save_layers(args.cache, args.pairs, args.layers)
        return
    if args.cells:
        save_cells(args.cache, args.pairs, args.cells)
        return
    common = (args.cache, args.pairs, args.source_fwhm)
    if args.only == "zone112":
        truth = json.loads((args.out / "truth.json").read_text())
        add_zone_112(truth, zone_112.make(*common, args.out))
        (args.out / "truth.json").write_text(json.dumps(truth) + "\n")
        return
    weights = measure_weights(*common)
    print(json.dumps(weights))
    makers = {"interface": ("KTO111", make_interface), "bulk": ("KTO001", make_bulk)}
    wanted = [makers[k] for k in makers if args.only in (None, k)]
    images = {name: make(*common, args.out, weights) for name, make in wanted}
    truth = {
        "format": 1,
        "source_fwhm_A": args.source_fwhm,
        "phonon_configurations": 2 * args.pairs,
        "thickness_A": round(4 * REPEATS * UNIT_Z, 3),
        "a_A": A_CELL,
        "detectors": {k: {"mrad": list(v)} for k, v in DETECTORS_MRAD.items()},
        "weights": weights,
        f"weights_{SHARP_SOURCE_A:g}": measure_weights(args.cache, args.pairs, SHARP_SOURCE_A),
        "column_displacement": "K displacement / (1 + q (1/w - 1)), q = o_occupancy, w = weights",
        "images": images,
        "files": {
            "KTO111": {s: [p.format(s) for p in INTERFACE_FILES] for s in DETECTORS_MRAD},
            "KTO001": {"HAADF": [BULK_FILE]},
        },
    }
    if not args.only:
        add_zone_112(truth, zone_112.make(*common, args.out))
        (args.out / "truth.json").write_text(json.dumps(truth) + "\n")


if __name__ == "__main__":
    main()
