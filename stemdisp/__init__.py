"""stemdisp: how far the atoms moved in a STEM image, how sure that is, and what it says about polarization.

    import stemdisp

    image = stemdisp.read("KTO111_HAADF.tif", "KTO111_ABF.tif")
    analysis = stemdisp.analyse(image, stemdisp.recipe_for("KTaO3", "1-10"))
    analysis.profile.parallel_pm

Names are loaded when first used, so that importing the package stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Analysis": "model.analysis",
    "CalibrationError": "errors",
    "Columns": "model.columns",
    "DeviceError": "errors",
    "Flag": "flags",
    "Interface": "model.interface",
    "Lattice": "model.lattice",
    "Micrograph": "model.micrograph",
    "Patch": "patch",
    "PixelSize": "model.micrograph",
    "Preview": "stages.find",
    "Profile": "model.profile",
    "ReadError": "errors",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "Scene": "scene",
    "Signal": "model.micrograph",
    "StageError": "errors",
    "StemdispError": "errors",
    "UnitCells": "model.cells",
    "VectorField": "model.fields",
    "Positions": "model.positions",
    "analyse": "pipeline",
    "analyse_files": "batch.files",
    "entry_for": "edits",
    "frame_precision": "repeats",
    "from_atomap": "interop.atomap",
    "from_hyperspy": "interop.hyperspy",
    "from_positions": "elsewhere",
    "load": "io.store",
    "load_recipe": "recipe",
    "model_patch": "patch",
    "preview": "pipeline",
    "read": "io.read",
    "read_frames": "io.read",
    "recipe_for": "recipe",
    "read_profile": "io.external",
    "recipe_from_cif": "io.cif",
    "retouch": "pipeline",
    "save": "io.store",
    "simulate": "synthetic",
    "stale": "pipeline",
    "steps": "pipeline",
    "to_ase": "interop.ase",
    "to_atomap": "interop.atomap",
    "to_hyperspy": "interop.hyperspy",
    "to_pandas": "interop.pandas",
    "to_temul": "interop.temul",
}
"""Public name -> module that defines it."""

_RENAMED = {"load_recipe": "load", "recipe_for": "for_material"}

__all__ = sorted([*_HOME, "__version__"])  # noqa: PLE0605

if TYPE_CHECKING:
    from .batch.files import analyse_files
    from .edits import entry_for
    from .elsewhere import from_positions
    from .errors import CalibrationError, DeviceError, ReadError, RecipeError, StageError, StemdispError
    from .flags import Flag
    from .interop.ase import to_ase
    from .interop.atomap import from_atomap, to_atomap
    from .interop.hyperspy import from_hyperspy, to_hyperspy
    from .interop.pandas import to_pandas
    from .interop.temul import to_temul
    from .io.cif import recipe_from_cif
    from .io.external import read_profile
    from .io.read import read, read_frames
    from .io.store import load, save
    from .model.analysis import Analysis
    from .model.cells import UnitCells
    from .model.columns import Columns
    from .model.fields import VectorField
    from .model.interface import Interface
    from .model.lattice import Lattice
    from .model.micrograph import Micrograph, PixelSize, Signal
    from .model.positions import Positions
    from .model.profile import Profile
    from .patch import Patch, model_patch
    from .pipeline import analyse, preview, retouch, stale, steps
    from .recipe import Recipe
    from .recipe import for_material as recipe_for
    from .recipe import load as load_recipe
    from .repeats import frame_precision
    from .scene import Scene
    from .stages.find import Preview
    from .synthetic import simulate


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stemdisp' has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"stemdisp.{_HOME[name]}"), _RENAMED.get(name, name))
    return found


def __dir__() -> list[str]:
    return list(__all__)
