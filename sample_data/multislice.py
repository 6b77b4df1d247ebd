"""What the simulations of the sample images share: cells of atoms, multislice, resampling, truth, files.

Conventions: arrays are [y, x]; x right, y down; pixel centres at whole numbers; 200 kV, 25 mrad, focus on
the entrance surface.
"""

import time
from dataclasses import dataclass

import abtem
import numpy as np
import tifffile
from ase import Atoms

A_CELL = 3.9883  # lattice parameter at 298 K, A (Zhurova et al. 2000)
SPACING = A_CELL / np.sqrt(3)  # K plane to K plane along [111], A
O_SITES = [(0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
BASIS = {"K": [(0, 0, 0)], "Ta": [(0.5, 0.5, 0.5)], "O": O_SITES}

ENERGY_EV, APERTURE_MRAD = 200e3, 25.0
DETECTORS_MRAD = {"HAADF": (80.0, 144.0), "ABF": (11.0, 24.0)}
# Plausible thermal amplitudes at 300 K, rms per axis in A (not fitted to any experiment).
# Only in-plane components are drawn: a slice is projected, so the third changes nothing.
THERMAL_A = {"K": 0.095, "Ta": 0.065, "O": 0.090, "La": 0.10, "Al": 0.10}
PIXEL_A = 0.10
SEEDS = {"interface": 1000, "bulk": 2000, "weights": 3000, "112": 4000, "cap": 41, "vacancies": 42, "dose": 43}
SEEDS |= {"along": 5000, "outward": 6000, "still": 7000, "tilted": 8000, "leaning": 9000}


@dataclass(frozen=True)
class Model:
    """A cell of atoms with the column each belongs to (column -1: cap)."""

    cell: np.ndarray  # A, (x, y, z)
    symbols: np.ndarray
    xyz: np.ndarray  # A
    column: np.ndarray
    columns: list  # of dicts: site, layer, x_A, y_A

    def counts(self, symbol):
        """Count the atoms of one element in every column."""
        mask = (self.symbols == symbol) & (self.column >= 0)
        return np.bincount(self.column[mask], minlength=len(self.columns))


def collect(cell, rows):
    """Make a Model from rows of (symbol, site, layer, x, y, z), columns in order of place."""
    keys = sorted({(round(r[4], 6), round(r[3], 6), r[1], r[2]) for r in rows})
    index = {(k[2], k[0], k[1]): i for i, k in enumerate(keys)}
    columns = [{"site": s, "layer": n, "x_A": x, "y_A": y} for y, x, s, n in keys]
    column = np.array([index[(r[1], round(r[4], 6), round(r[3], 6))] for r in rows])
    symbols, xyz = np.array([r[0] for r in rows]), np.array([r[3:] for r in rows])
    return Model(np.array(cell), symbols, xyz, column, columns)


def simulate(model, moved_xyz, u, gpts, interpolation, slice_A):
    """Detector images (fractions of the beam) [y, x] on a scan of the whole periodic cell.

    u: thermal displacement (x, y) of every atom, A.  The atoms' y runs down the screen; the
    mirror this implies is a symmetry of the crystal.
    """
    xyz = moved_xyz.copy()
    xyz[:, :2] += u
    atoms = Atoms(model.symbols, positions=xyz, cell=model.cell, pbc=True)
    atoms.wrap()
    potential = abtem.Potential(atoms, gpts=gpts, slice_thickness=slice_A, projection="infinite")
    beam = {"energy": ENERGY_EV, "semiangle_cutoff": APERTURE_MRAD, "interpolation": interpolation}
    smatrix = abtem.SMatrix(potential=potential.build(lazy=False), downsample="cutoff", **beam)
    smatrix = smatrix.build(lazy=False, max_batch=20)
    steps = [int(np.ceil(c / 0.2475)) for c in model.cell[:2]]  # Nyquist: 0.251 A
    scan = abtem.GridScan((0, 0), tuple(model.cell[:2]), gpts=steps, endpoint=False)
    detectors = [abtem.AnnularDetector(*r) for r in DETECTORS_MRAD.values()]
    images = smatrix.reduce(scan=scan, detectors=detectors, max_batch_reduction=32)
    return dict(zip(DETECTORS_MRAD, (m.array.T.astype(np.float32) for m in images), strict=True))


def averaged(cache, name, pairs, model, moved_xyz, **grid):
    """Mean over antithetic phonon pairs (+u and -u), each configuration cached on disk.

    +u and -u together cancel the mean displacement of a column to first order: the position
    error of Ta falls from several pm (one configuration) to 0.1-0.2 pm (one pair).
    """
    sigma = np.array([THERMAL_A[s] for s in model.symbols])[:, None]
    total = {}
    for pair in range(pairs):
        seed = SEEDS[name.split("-")[0]] + pair
        u = np.random.default_rng(seed).normal(size=(len(sigma), 2)) * sigma
        for sign in (1, -1):
            file = cache / f"{name}_{pair}{'+' if sign > 0 else '-'}.npz"
            if not file.exists():
                start = time.process_time()
                np.savez(file, **simulate(model, moved_xyz, sign * u, **grid))
                print(f"{file.name}: {time.process_time() - start:.0f} CPU s", flush=True)
            with np.load(file) as images:
                for signal in DETECTORS_MRAD:
                    total[signal] = total.get(signal, 0) + images[signal] / (2.0 * pairs)
    return total


def resample(image, cell, origin_A, shape, source_fwhm_A):
    """Image of a periodic cell at pixels of 0.10 A, blurred by a Gaussian source.

    The scan is finer than Nyquist, so its Fourier series is the image itself and evaluating it
    at the new pixels is exact; the blur is a factor on every term of the series.
    """
    series = np.fft.fft2(image) / image.size
    sigma = source_fwhm_A / np.sqrt(8 * np.log(2))
    waves = []
    for axis, length in ((0, cell[1]), (1, cell[0])):
        k = np.fft.fftfreq(image.shape[axis], length / image.shape[axis])
        place = origin_A[1 - axis] + PIXEL_A * np.arange(shape[axis])
        waves.append(np.exp(2j * np.pi * np.outer(place, k) - 2 * (np.pi * sigma * k) ** 2))
    return (waves[0] @ series @ waves[1].T).real


def column_truth(model, shape, origin_A, shift_A, weights):
    """Every column whose undisplaced position lies in the frame, as lists."""
    counts = {s: model.counts(s) for s in BASIS}
    site = np.array([c["site"] for c in model.columns])
    full = {s: counts["O"][site == s].max() for s in BASIS}  # O atoms of a complete column
    out = {}
    for i, c in enumerate(model.columns):
        x, y = (c["x_A"] - origin_A[0]) / PIXEL_A, (c["y_A"] - origin_A[1]) / PIXEL_A
        if not (0 <= x <= shape[1] - 1 and 0 <= y <= shape[0] - 1):
            continue
        occupancy = counts["O"][i] / full[c["site"]] if full[c["site"]] else None
        content = " ".join(f"{s}{counts[s][i]}" for s in counts if counts[s][i])
        row = {"site": c["site"], "content": content, "layer": c["layer"], "x_px": x, "y_px": y}
        row |= {"k_dx_pm": 100 * shift_A[i][0], "k_dy_pm": 100 * shift_A[i][1]}
        row["o_occupancy"] = occupancy
        for signal, w in weights.items():
            for axis, name in enumerate("xy"):
                share = 1 / (1 + (occupancy or 0) * (1 / w[name] - 1))  # shift is 0 but for K
                row[f"{signal}_d{name}_pm"] = 100 * share * shift_A[i][axis]
        for key, value in row.items():
            value = round(float(value), 4) + 0.0 if isinstance(value, float) else value
            out.setdefault(key, []).append(value)
    return out


def save_tiff(path, image):
    """Write an ImageJ TIFF that Fiji opens with 0.01 nm per pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    per_nm = 10.0 / PIXEL_A
    tifffile.imwrite(path, image, imagej=True, resolution=(per_nm, per_nm), metadata={"unit": "nm"})
