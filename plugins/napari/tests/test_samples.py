"""Sample images: they open, they are those of the repository, and their displacements are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_stemdisp import samples

PLUGIN = "napari-stemdisp"
REPOSITORY = Path(__file__).parents[3] / "sample_data"


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("interface_synthetic", ["KTaO3_interface HAADF", "KTaO3_interface ABF"]),
        ("interface_multislice", ["KTO111_1e5 HAADF", "KTO111_1e5 ABF"]),
        ("batio3_measured", ["BTO_crystal_1 HAADF"]),
    ],
)
def test_samples_open(make_napari_viewer, key, names):
    layers = make_napari_viewer().open_sample(PLUGIN, key)
    assert [layer.name for layer in layers] == names
    assert [layer.visible for layer in layers] == [True, False][: len(names)]
    assert len({id(layer.metadata["stemdisp"]["micrograph"]) for layer in layers}) == 1
    assert all(str(unit) == "nanometer" for layer in layers for unit in layer.units)


def test_images_are_those_of_the_repository():
    for path in samples.DATA.iterdir():
        if path.suffix != ".md":
            (original,) = REPOSITORY.rglob(path.name)
            assert path.read_bytes() == original.read_bytes()


def test_the_synthetic_interface_is_always_the_same_file():
    one, other = (samples.interface_synthetic()[0][1]["metadata"]["stemdisp"]["micrograph"] for _ in range(2))
    assert one.inputs == other.inputs and len(one.inputs) == 2


def test_the_synthetic_displacement_is_found(analysis):
    """By 3 pm in the outermost layer, whose columns stand beside the cap, and by 1 pm beneath."""
    profile, n = analysis.profile, np.arange(8)
    for found, truth in ((profile.parallel_pm, 24), (profile.normal_pm, 8)):
        away = np.abs(found[:8] - truth * np.exp(-n / 3))
        print(away)
        assert away[0] < 3 and away[1:].max() < 1
