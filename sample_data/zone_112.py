"""Bulk KTaO3 along [11-2]: every K of the crystal moved by one known vector, O and Ta left in place.

Screen right is [1-10], screen up is [111], the beam runs along [11-2].  A projected cell of 2.820 x 2.303 A
holds a K-O column (site K) at (0, 0), Ta at (0, 1/2) and O at (1/2, 0): K and Ta are 1.15 A apart.  Three
states share their phonons: nothing moved, K moved (the image), K and the O of their columns moved.
"""

import numpy as np
from multislice import (
    A_CELL,
    BASIS,
    DETECTORS_MRAD,
    PIXEL_A,
    SPACING,
    averaged,
    collect,
    column_truth,
    resample,
    save_tiff,
)

FILE = "zone112/KTO112_{}.tif"
UNIT_X = A_CELL / np.sqrt(2)  # K column to K column along [1-10], 2.820 A
UNIT_Z = A_CELL / np.sqrt(6)  # plane of K and Ta to the next along the beam, 1.63 A; O half-way
REPEATS = 5  # of 9.769 A along [11-2]: 48.8 A thick
# 12 columns by 12 planes; the PRISM replica pitch, 4 columns by 6 planes (11.28 x 13.82 A), is a lattice
# vector of the crystal.  One slice holds one plane of K and Ta and one of O.
COLUMNS, PLANES = 12, 12
GRID = {"gpts": (624, 504), "interpolation": (3, 2), "slice_A": UNIT_Z}
CORNER_A = 1.0  # place of the first K column, x and y
D_PM = (12.0, -16.0)  # displacement of every K: right [1-10], and up (y down: minus) [111]
CORE_A = 0.55  # radius of the patch in which the shares are measured: less than half-way to Ta


def build():
    """Place the atoms of one cell; z runs along the beam."""
    rows = []
    span = np.arange(-2 * REPEATS - COLUMNS - PLANES, 2 * REPEATS + COLUMNS + PLANES + 1)
    i, j, k = (g.ravel() for g in np.meshgrid(span, span, span, indexing="ij"))
    near = (np.abs(i - j) <= COLUMNS + 2) & (np.abs(i + j + k) <= PLANES + 4)
    i, j, k = i[near], j[near], k[near]
    for symbol, basis in BASIS.items():
        for b in basis:
            f, g, h = i + b[0], j + b[1], k + b[2]
            ux, uy, uz = f - g, -(f + g + h), f + g - 2 * h
            inside = (ux >= 0) & (ux < COLUMNS) & (uy >= 0) & (uy < PLANES)
            inside &= (uz >= 0) & (uz < 6 * REPEATS)
            site = "K" if symbol == "O" and b[2] == 0 else symbol
            x, y, z = CORNER_A + ux * UNIT_X, CORNER_A + uy * SPACING, (uz + 0.25) * UNIT_Z
            places = zip(x[inside], y[inside], z[inside], strict=True)
            rows += [(symbol, site, None, *p) for p in places]
    return collect((COLUMNS * UNIT_X, PLANES * SPACING, 6 * REPEATS * UNIT_Z), rows)


def simulate_states(cache, pairs, model):
    """Detector images of the three states, averaged over the same phonons."""
    in_k_column = np.array([c["site"] for c in model.columns])[model.column] == "K"
    is_k = model.symbols == "K"
    raw = {}
    for label, moved in (("none", np.zeros_like(is_k)), ("K", is_k), ("KO", in_k_column)):
        xyz = model.xyz.copy()
        xyz[moved, :2] += 0.01 * np.array(D_PM)
        raw[label] = averaged(cache, f"112-{label}", pairs, model, xyz, **GRID)
    return raw


def measure_shares(model, raw, source_fwhm_A):
    """Share of a K displacement that shows in the image of its column, along x and y, by signal.

    As for [1-10]: first moment of the change when K moves over that of the change when K and O move, within
    CORE_A of the column, mean of all columns.  As a check, the least-squares factor between the odd parts of the
    two changes: a shift is odd about the column; the even rest is a column that dims when K leaves its O.
    """
    half = int(np.ceil(CORE_A / PIXEL_A))
    r = np.meshgrid(*[np.arange(-half, half + 1) * PIXEL_A] * 2)  # (x, y) about a column
    core = np.hypot(*r) <= CORE_A
    near = half * PIXEL_A
    places = [(c["x_A"] - near, c["y_A"] - near) for c in model.columns if c["site"] == "K"]
    shares = {}
    for signal in DETECTORS_MRAD:
        change = [raw[label][signal] - raw["none"][signal] for label in ("K", "KO")]
        around = [(model.cell, p, core.shape, source_fwhm_A) for p in places]
        b, c = (core * np.mean([resample(image, *a) for a in around], axis=0) for image in change)
        tests = {"x": r[0], "y": r[1], "least_squares": (c - c[::-1, ::-1]) / 2}  # all three are odd
        shares[signal] = {key: round(float((b * to).sum() / (c * to).sum()), 4) for key, to in tests.items()}
    return shares


def make(cache, pairs, source_fwhm_A, out):
    """Write the image pair; return its entry of the truth."""
    model = build()
    raw = simulate_states(cache, pairs, model)
    shares = measure_shares(model, raw, source_fwhm_A)
    shape = tuple(int(model.cell[i] / PIXEL_A) for i in (1, 0))
    for signal in DETECTORS_MRAD:
        image = resample(raw["K"][signal], model.cell, (0, 0), shape, source_fwhm_A)
        save_tiff(out / FILE.format(signal), image.astype(np.float32))
    is_k = np.array([c["site"] == "K" for c in model.columns])
    shift_A = 0.01 * np.outer(is_k, D_PM)
    return {
        "pixel_size_pm": [100 * PIXEL_A] * 2,
        "shape": shape,
        "thickness_A": round(model.cell[2], 3),
        "source_fwhm_A": source_fwhm_A,
        "phonon_configurations": 2 * pairs,
        "weights": shares,
        "columns": column_truth(model, shape, (0, 0), shift_A, shares),
    }
