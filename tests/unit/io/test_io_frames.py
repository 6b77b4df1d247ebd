"""Stacks of frames: aligned, averaged, or one of them; what is left out and what is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import stemdisp
from stemdisp.errors import ReadError
from stemdisp.io.summary import summary
from stemdisp.model.analysis import Analysis

SHIFTS = np.array([[0, 0], [3, -2], [5, 1], [8, 4], [9, 6]])
"""Whole pixels (x, y), so that the truth is exact."""


def write(path: Path, **stacks: np.ndarray) -> Path:
    """A HyperSpy file of stacks by their titles."""
    with h5py.File(path, "w") as file:
        for title, data in stacks.items():
            group = file.create_group(f"Experiments/{title}")
            group["data"] = data
            group.create_group("metadata/General").attrs["title"] = title
            for i in range(3):
                axis = group.create_group(f"axis-{i}")
                axis.attrs.update({"navigate": i == 0, "scale": 0.012, "units": "nm"})
    return path


@pytest.fixture
def scene() -> np.ndarray:
    """Something without any period, larger than a frame."""
    return gaussian_filter(np.random.default_rng(1).random((160, 170)), 2.5) * 1000


def frames(scene: np.ndarray, shifts: np.ndarray = SHIFTS, noise: int = 0) -> np.ndarray:
    rng = np.random.default_rng(noise)
    cut = [scene[20 - y : 140 - y, 20 - x : 150 - x] for x, y in shifts]
    return np.array([frame + rng.normal(0, 1, frame.shape) for frame in cut]).astype(np.float32)


def test_aligned_on_the_middle_frame(tmp_path: Path, scene: np.ndarray) -> None:
    found = stemdisp.read(write(tmp_path / "a.hspy", HAADF=frames(scene)))
    assert found.frame_shifts_px is not None
    np.testing.assert_allclose(found.frame_shifts_px, SHIFTS - SHIFTS[2], atol=0.05)
    assert found.frames == 5
    image, truth = found.signals["HAADF"].image, scene[19:139, 15:145]
    seen = np.isfinite(image)
    assert 0.99 < seen.mean() < 1 and seen[10:-10, 10:-10].all()
    assert (image - truth)[seen].std() < 1.2 / 5**0.5
    (note,) = [note for note in found.notes if "frames" in note]
    assert "5 of 5 frames were aligned to frame 3" in note and "px a frame" in note and "border" in note


def test_as_they_are(tmp_path: Path, scene: np.ndarray) -> None:
    stack = frames(scene)
    found = stemdisp.read(write(tmp_path / "a.hspy", HAADF=stack), frames="average")
    np.testing.assert_allclose(found.signals["HAADF"].image, stack.mean(axis=0), rtol=1e-6)
    assert found.frame_shifts_px is None and "no drift" in found.notes[0]


def test_one_alone(tmp_path: Path, scene: np.ndarray) -> None:
    stack = frames(scene)
    stack[1] = 7
    path = write(tmp_path / "a.hspy", HAADF=stack)
    np.testing.assert_array_equal(stemdisp.read(path, frames=3).signals["HAADF"].image, stack[2])
    for number, why in ((0, "no frame 0"), (6, "counted from 1 to 5"), (2, "shows nothing")):
        with pytest.raises(ReadError, match=why):
            stemdisp.read(path, frames=number)


def test_blank_and_foreign_frames_are_left_out(tmp_path: Path, scene: np.ndarray) -> None:
    stack = frames(scene)
    stack[1] = 7
    stack[3] = np.random.default_rng(5).random(stack.shape[1:]) * 1000
    found = stemdisp.read(write(tmp_path / "a.hspy", HAADF=stack))
    assert found.frames == 3 and found.frame_shifts_px is not None
    np.testing.assert_array_equal(np.isnan(found.frame_shifts_px).all(axis=1), [False, True, False, True, False])
    np.testing.assert_allclose((found.frame_shifts_px - found.frame_shifts_px[0])[[2, 4]], SHIFTS[[2, 4]], atol=0.05)
    assert "frame 2 left out (nothing to be seen)" in found.notes[0]
    assert "frame 4 left out (something else" in found.notes[0]


def test_signals_of_one_file_get_the_same_shifts(tmp_path: Path, scene: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (5, 120, 130))  # alone it could not be aligned
    found = stemdisp.read(write(tmp_path / "a.hspy", ABF=noise, HAADF=frames(scene)))
    seen = np.isfinite(found.signals["HAADF"].image)
    np.testing.assert_array_equal(np.isfinite(found.signals["ABF"].image), seen)
    assert found.frame_shifts_px is not None
    np.testing.assert_allclose(found.frame_shifts_px, SHIFTS - SHIFTS[2], atol=0.05)


@pytest.mark.parametrize("alike", [True, False])
def test_stacks_of_two_files(tmp_path: Path, scene: np.ndarray, alike: bool) -> None:
    """Shifts are shared where both stacks moved alike; otherwise each has its own."""
    other = frames(-scene, SHIFTS if alike else SHIFTS[::-1] * [1, -1], noise=3)
    first = write(tmp_path / "a_HAADF.hspy", HAADF=frames(scene))
    found = stemdisp.read(first, write(tmp_path / "a_ABF.hspy", ABF=other))
    image = found.signals["ABF"].image
    truth = -scene[19:139, 15:145] if alike else -scene[21:141, 15:145]
    seen = np.isfinite(image)
    assert (image - truth)[seen].std() < 1.3 / 5**0.5


def test_shifts_stand_in_the_summary(tmp_path: Path, scene: np.ndarray) -> None:
    found = stemdisp.read(write(tmp_path / "a.hspy", HAADF=frames(scene)))
    said: Any = summary(Analysis(found, stemdisp.recipe_for("KTaO3", "1-10")))["frame_shifts_px"]
    np.testing.assert_allclose(said, found.frame_shifts_px)


PEAK = """
import resource, sys
import numpy as np
from stemdisp.io.frames import combined
from stemdisp.io.images import Frames
base = np.random.default_rng(0).random((1100, 1100), dtype=np.float32)
stack = np.stack([np.roll(base, i, axis=1) for i in range(8)])
combined({"HAADF": Frames(stack[:2, :64, :64], "a")}, {"HAADF": 0}, "align")  # loads what computes
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
combined({"HAADF": Frames(stack, "a")}, {"HAADF": 0}, "align")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / stack.nbytes)
"""


def test_memory() -> None:
    """Aligning takes less than the 8 stacks in single precision that reading may take."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True, timeout=300)
    print(done.stdout)
    assert float(done.stdout) < 7


def test_frames_are_given_as_they_went_into_the_average(tmp_path: Path, scene: np.ndarray) -> None:
    stack = frames(scene)
    stack[3] = 7
    path = write(tmp_path / "a.hspy", HAADF=stack, ABF=stack.max() - stack)
    micrograph, aligned = stemdisp.read_frames(path)
    assert list(aligned) == ["HAADF", "ABF"]
    found = aligned["HAADF"]
    assert (found.shape, found.ndim, found.dtype, len(found)) == ((5, 120, 130), 3, np.float32, 5)
    used = np.asarray(found)[[0, 1, 2, 4]]
    image = micrograph.signals["HAADF"].image
    np.testing.assert_allclose(np.nanmean(used, axis=0)[np.isfinite(image)], image[np.isfinite(image)], rtol=1e-6)
    np.testing.assert_array_equal(found[3], stack[3])  # left out of the average: as it is stored
    np.testing.assert_array_equal(image, stemdisp.read(path).signals["HAADF"].image)


def test_frames_are_taken_like_an_array(tmp_path: Path, scene: np.ndarray) -> None:
    found = stemdisp.read_frames(write(tmp_path / "a.hspy", HAADF=frames(scene)))[1]["HAADF"]
    whole = np.asarray(found)
    for key in (-1, (2, slice(3, 9), slice(None)), slice(1, 4), (slice(None), 4), ([0, 2], slice(5)), (1, 2, 3)):
        np.testing.assert_array_equal(found[key], whole[key])
    with pytest.raises(IndexError):
        _ = found[5]


def test_only_so_many_frames_are_kept(tmp_path: Path, scene: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stemdisp.read_frames(write(tmp_path / "a.hspy", HAADF=frames(scene)))[1]["HAADF"]
    monkeypatch.setattr("stemdisp.io.frames.LARGEST_KEPT", 2 * found[0].nbytes)
    whole = np.asarray(found)
    assert list(found._kept) == [3, 4]
    np.testing.assert_array_equal(found[0], whole[0])


def test_frames_that_were_not_aligned_are_as_stored(tmp_path: Path, scene: np.ndarray) -> None:
    stack = frames(scene)
    path = write(tmp_path / "a.hspy", HAADF=stack)
    for how in ("average", 2):
        np.testing.assert_array_equal(stemdisp.read_frames(path, frames=how)[1]["HAADF"], stack)
    assert stemdisp.read_frames(write(tmp_path / "b.hspy", HAADF=stack[:1]))[1] == {}
