"""Sample images: one made on the spot, one from a multislice simulation, one from a microscope."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from stemdisp import Scene, read, simulate
from stemdisp.io.simulated import save_simulated
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Edge, Look, View

from .layers import LayerData
from .reader import layers_of

DATA = Path(__file__).parent / "data"

INTERFACE = Scene(
    signals=("HAADF", "ABF"),
    view=View(shape=(512, 448)),
    look=Look(tail=0.1),
    dose=Dose(peak_counts=1000.0, dtype="uint16"),
    motion=Motion(normal_pm=8.0, parallel_pm=24.0),
    edge=Edge(offset_A=14.0, vacancies=(0.3, 0.3, 0.2, 0.1)),
).facing(90.0)
"""KTaO3 (111) along [1-10] beneath an amorphous cap: K moves by 24 pm along the interface and 8 pm out of the crystal
in layer 0, by exp(-n/3) of it in layer n."""


def _layers(*names: str) -> list[LayerData]:
    return layers_of(read(*(DATA / name for name in names)))


def interface_synthetic() -> list[LayerData]:
    """A KTaO3 interface whose displacements are known.

    It is read from files, so that its images have the digests that corrections by hand are kept under.
    """
    with TemporaryDirectory() as folder:
        paths = save_simulated(*simulate(INTERFACE), Path(folder) / "KTaO3_interface")
        return layers_of(read(*paths[:-1]))


def interface_multislice() -> list[LayerData]:
    """A KTaO3 interface computed by multislice: HAADF and ABF at 1e5 electrons per square angstrom."""
    return _layers("KTO111_1e5_HAADF.tif", "KTO111_1e5_ABF.tif")


def batio3_measured() -> list[LayerData]:
    """A measured HAADF image of BaTiO3 along [001]."""
    return _layers("BTO_crystal_1.dm4")
