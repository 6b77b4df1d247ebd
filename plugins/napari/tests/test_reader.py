"""Files and folders opened in a real viewer: what becomes a layer, and what is said where nothing can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from napari.plugins import _npe2
from PIL import Image
from scipy.ndimage import gaussian_filter

import stemdisp
from napari_stemdisp.reader import get_folder_reader, get_image_reader, limits
from napari_stemdisp.samples import DATA
from stemdisp.io.store import save_failure

PLUGIN = "napari-stemdisp"
HAADF, ABF = DATA / "KTO111_1e5_HAADF.tif", DATA / "KTO111_1e5_ABF.tif"


def known(layer):
    return layer.metadata["stemdisp"]


def hyperspy(path: Path, data: np.ndarray, *axes: tuple[bool, float, str], title: str = "HAADF") -> Path:
    """A HyperSpy file with one array."""
    with h5py.File(path, "w") as file:
        group = file.create_group(f"Experiments/{title}")
        group["data"] = data
        group.create_group("metadata/General").attrs["title"] = title
        for i, (navigate, scale, units) in enumerate(axes):
            group.create_group(f"axis-{i}").attrs.update({"navigate": navigate, "scale": scale, "units": units})
    return path


@pytest.fixture
def stack(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Five frames of one scene, shifted by whole pixels, and their shifts (x, y)."""
    scene = gaussian_filter(np.random.default_rng(1).random((160, 170)), 2.5) * 1000
    shifts = np.array([[0, 0], [3, -2], [5, 1], [8, 4], [9, 6]])
    frames = np.array([scene[20 - y : 140 - y, 20 - x : 150 - x] for x, y in shifts], dtype=np.float32)
    path = hyperspy(tmp_path / "series.hspy", frames, (True, 1.0, ""), (False, 0.012, "nm"), (False, 0.011, "nm"))
    return path, shifts


def test_an_image_is_calibrated_and_grey(make_napari_viewer):
    viewer = make_napari_viewer()
    (layer,) = viewer.open(DATA / "BTO_crystal_1.dm4", plugin=PLUGIN)
    micrograph = stemdisp.read(DATA / "BTO_crystal_1.dm4")
    np.testing.assert_allclose(layer.scale, micrograph.pixel_size.xy_pm[::-1] / 1000)
    assert [str(unit) for unit in layer.units] == ["nanometer", "nanometer"] and layer.axis_labels == ("y", "x")
    assert (layer.name, layer.colormap.name, layer.visible) == ("BTO_crystal_1 HAADF", "gray", True)
    np.testing.assert_array_equal(layer.data, micrograph.signals["HAADF"].image)
    assert known(layer)["role"] == "signal" and known(layer)["micrograph"].shows_the_same(micrograph)
    low, high = np.percentile(layer.data, (0.1, 99.9))
    np.testing.assert_allclose(layer.contrast_limits, (low, high))


def test_a_pair_opened_together_is_one_micrograph(make_napari_viewer, said):
    viewer = make_napari_viewer()
    layers = viewer.open([ABF, HAADF], stack=True, plugin=PLUGIN)
    assert [(layer.name, layer.visible) for layer in layers] == [("KTO111_1e5 HAADF", True), ("KTO111_1e5 ABF", False)]
    assert [known(layer)["signal"] for layer in layers] == ["HAADF", "ABF"]
    assert known(layers[0])["micrograph"] is known(layers[1])["micrograph"]
    assert not said()


def test_half_of_a_pair_is_what_was_asked_for_and_the_other_half_is_named(make_napari_viewer, said):
    viewer = make_napari_viewer()
    (layer,) = viewer.open(ABF, plugin=PLUGIN)
    assert (layer.name, layer.visible, known(layer)["signal"]) == ("KTO111_1e5_ABF", True, "ABF")
    ((_, sentence),) = said()
    assert sentence.startswith("KTO111_1e5_HAADF.tif lies beside KTO111_1e5_ABF.tif")


def test_without_a_pixel_size_lengths_are_in_pixels(make_napari_viewer, tmp_path):
    np.save(tmp_path / "a_HAADF.npy", np.random.default_rng(0).poisson(50, (64, 80)).astype(np.uint16))
    (layer,) = make_napari_viewer().open(tmp_path / "a_HAADF.npy", plugin=PLUGIN)
    assert tuple(layer.scale) == (1, 1) and [str(unit) for unit in layer.units] == ["pixel", "pixel"]


def test_a_stack_is_its_average_and_its_aligned_frames(make_napari_viewer, stack):
    path, shifts = stack
    viewer = make_napari_viewer()
    average, frames = viewer.open(path, plugin=PLUGIN)
    assert (average.ndim, frames.ndim, frames.visible, known(frames)["role"]) == (2, 3, False, "frames")
    assert [str(unit) for unit in frames.units] == ["dimensionless", "nanometer", "nanometer"]
    assert frames.axis_labels == ("frame", "y", "x")
    np.testing.assert_allclose(frames.scale, (1, 0.012, 0.011))
    np.testing.assert_allclose(average.scale, (0.012, 0.011))
    np.testing.assert_allclose(known(average)["micrograph"].frame_shifts_px, shifts - shifts[2], atol=0.05)
    made = frames.data
    assert isinstance(made, stemdisp.io.frames.AlignedFrames) and len(made._kept) <= 2  # no more than is looked at
    average.visible, frames.visible = False, True
    for number in (0, 4):
        viewer.dims.set_current_step(0, number)
        shown = np.asarray(frames._slice.image.raw)
        np.testing.assert_array_equal(shown, made[number])
        inside = np.s_[10:-10, 10:-10]
        np.testing.assert_allclose(shown[inside], np.asarray(average.data)[inside], atol=20)


def not_images(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that hold no image to measure in, and a part of what is said of each."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (64, 80, 3)).astype(np.uint8)
    tifffile.imwrite(folder / "rgb.tif", colours, photometric="rgb")
    Image.fromarray(colours).save(folder / "picture.png")
    shutil.move(folder / "picture.png", folder / "picture.tif")
    np.save(folder / "four.npy", np.zeros((4, 4, 16, 16), np.uint16))
    (folder / "cut.tif").write_bytes(HAADF.read_bytes()[:50000])
    (folder / "text.tif").write_text("x,y\n1,2\n")
    return {
        "an RGB image": (folder / "rgb.tif", "holds colours"),
        "a screen picture": (folder / "picture.tif", "a picture for the screen"),
        "a spectrum": (hyperspy(folder / "eels.hspy", rng.random(1024), (False, 0.3, "eV")), "a spectrum"),
        "a 4-D data set": (folder / "four.npy", "4 dimensions|has 4 dimension"),
        "a file cut short": (folder / "cut.tif", "cut short|cannot be read"),
        "a text": (folder / "text.tif", "begins like no format"),
    }


@pytest.mark.parametrize(
    "what", ["an RGB image", "a screen picture", "a spectrum", "a 4-D data set", "a file cut short", "a text"]
)
def test_what_is_no_image_is_refused_in_a_sentence(make_napari_viewer, said, tmp_path, what):
    path, why = not_images(tmp_path)[what]
    with pytest.raises(stemdisp.ReadError, match=why) as expected:
        stemdisp.read(path)
    viewer = make_napari_viewer()
    assert viewer.open(path, plugin=PLUGIN) == []
    assert said() == [("error", str(expected.value))]
    assert len(viewer.open(DATA / "BTO_crystal_1.dm4", plugin=PLUGIN)) == len(viewer.layers) == 1


def test_too_little_memory_is_a_sentence(monkeypatch, said):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("napari_stemdisp.reader.read_frames", full)
    assert get_image_reader(str(HAADF))(str(HAADF)) == [(None,)]
    assert "memory" in said()[0][1]


def test_a_result_folder_brings_its_analysis(make_napari_viewer, tmp_path, analysis):
    stemdisp.save(analysis, tmp_path / "out" / "KTO")
    for folder in (tmp_path / "out" / "KTO", tmp_path / "out"):  # itself, and a batch with nothing else in it
        layers = make_napari_viewer().open(folder, plugin=PLUGIN)
        assert [known(layer)["signal"] for layer in layers] == ["HAADF", "ABF"]
        found = known(layers[0])["analysis"]
        assert all(known(layer)["analysis"] is found for layer in layers)
        assert known(layers[0])["micrograph"] is found.micrograph
        np.testing.assert_array_equal(found.columns.xy, analysis.columns.xy)


def newer(folder: Path) -> None:
    record = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**record, "format": 99, "stemdisp": "7.0"}))


def fails(folder: Path) -> None:
    shutil.rmtree(folder)
    save_failure(folder, stemdisp.StageError("no columns were found"), "find")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (newer, "has format 99, written by stemdisp 7.0"),
        (fails, "the analysis failed (no columns were found)"),
        (lambda folder: (folder / "analysis.npz").write_bytes(b"PK"), "was changed after it was written"),
        (lambda folder: (folder / "result.json").write_text("{"), "result.json is damaged"),
        (lambda folder: (folder / "result.json").unlink(), "result.json is missing"),
        (
            lambda folder: [fails(folder), shutil.copytree(folder, folder.parent / "other")],
            "holds 2 images, and no result",
        ),
        (shutil.rmtree, "holds no result of stemdisp"),
    ],
)
def test_a_folder_that_cannot_be_shown_is_refused_in_a_sentence(tmp_path, said, analysis, spoil, why):
    folder = tmp_path / "out" / "KTO"
    stemdisp.save(analysis, folder)
    spoil(folder)
    asked = str(folder if folder.is_dir() and "holds 2" not in why else folder.parent)
    assert get_folder_reader(asked)(asked) == [(None,)]
    ((grave, sentence),) = said()
    assert grave == "error" and why in sentence and sentence.isprintable()


def test_a_batch_opens_at_its_first_result(make_napari_viewer, tmp_path, said, analysis):
    out = tmp_path / "out"
    save_failure(out / "a", stemdisp.StageError("no columns were found"), "find")
    for name in ("b", "in/c"):
        stemdisp.save(analysis, out / name)
    (out / "b" / "analysis.npz").write_bytes(b"PK")
    layers = make_napari_viewer().open(out, plugin=PLUGIN)
    assert [known(layer)["signal"] for layer in layers] == ["HAADF", "ABF"]
    assert {known(layer)["page"] for layer in layers} == {2} and known(layers[0])["batch"] is known(layers[1])["batch"]
    assert [entry.label for entry in known(layers[0])["batch"].entries] == ["a", "b", "in/c"]
    assert said() == [("info", "out holds 3 images: the panel STEM displacement turns its pages.")]


def test_napari_asks_only_where_others_read_the_same():
    readers = {name: set(_npe2.get_readers(f"image{name}")) for name in (".dm4", ".emd", ".mrc", ".tif", ".png")}
    assert readers[".dm4"] == readers[".emd"] == readers[".mrc"] == {PLUGIN}
    assert readers[".tif"] == {"napari", PLUGIN}
    assert PLUGIN not in readers[".png"]


def test_limits_ignore_missing_and_single_pixels():
    image = np.linspace(0, 1, 10000).reshape(100, 100)
    image[0, 0], image[5, 5] = np.nan, 1e6
    assert limits(image)[1] < 1.01
    assert limits(np.full((8, 8), np.nan)) == (0, 1) and limits(np.ones((8, 8))) == (1, 2)
