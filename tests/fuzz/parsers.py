"""Fuzz what parses heads and small texts, led by the code that each input reaches: ``python tests/fuzz/parsers.py``.

Atheris runs each target in a process of its own for FUZZ_SECONDS (60).  An exception that is none of ours ends it: the
exit code is 1, and the input stands in ``finds``.  Where Atheris is not installed nothing is done, and that is said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

FINDS = HERE / "finds"

LONGEST = 2048
"""Bytes of an input."""


def sniff(data: bytes) -> None:
    """The head of a file: a format, or a sentence."""
    from stemdisp.errors import ReadError
    from stemdisp.io import formats

    path = Path(tempfile.gettempdir()) / f"fuzz-{os.getpid()}"
    path.write_bytes(data)
    try:
        assert formats.sniff(path) in formats.FORMATS
    except ReadError as error:
        assert str(error).isprintable()


def calibrate(data: bytes) -> None:
    """A size and a unit, and what a TIFF may say of them: a pixel size that can be, or a reason."""
    import atheris

    from stemdisp.io import calibration, tif_calibration
    from stemdisp.io.formats import Axis

    said = atheris.FuzzedDataProvider(data)
    scales = [said.ConsumeFloat(), said.ConsumeRegularFloat()]
    unit = said.ConsumeUnicode(30)
    calibration.is_reciprocal(unit)
    _judge(calibration.of_axes(Axis("x", scales[0], unit), Axis("y", scales[1], unit)))
    text = said.ConsumeUnicode(LONGEST)
    tif = SimpleNamespace(
        is_imagej=True,
        is_ome=True,
        ome_metadata=f"<OME><Pixels {text}>{text}",
        imagej_metadata={"unit": unit, "Labels": [text]},
        fei_metadata={"Scan": {"PixelWidth": text, "PixelHeight": scales[0]}},
        sem_metadata={"ap_pixel_size": ("", text, unit), "": [text] * 9},
        tvips_metadata=None,
        sis_metadata={"pixelsizex": text},
    )
    ratio = (said.ConsumeInt(4), said.ConsumeInt(4))
    found: dict[str, Any] = {"XResolution": SimpleNamespace(value=ratio), tif_calibration.GATAN_X: text}
    tags: Any = SimpleNamespace(get=found.get, valueof=found.get)
    page = SimpleNamespace(tags=tags, imagewidth=512)
    for _ in range(2):
        x, y, unit_ = tif_calibration.of_series(tif, 0, page)
        _judge(calibration.of_axes(Axis("x", x, unit_), Axis("y", y, unit_)))
        tif.ome_metadata, tif.imagej_metadata = None, None
    tif_calibration.names(tif, 0)


def _judge(found: tuple[Any, str]) -> None:
    from stemdisp.io.calibration import LARGEST_PM, SMALLEST_PM

    size, why = found
    assert why.isprintable() and (size is None) == bool(why)
    assert size is None or all(SMALLEST_PM <= side <= LARGEST_PM for side in size.xy_pm)


def parse_recipe(data: bytes) -> None:
    """A text of TOML: a recipe, or a sentence; with values of recipes put where they may stand."""
    from stemdisp import recipe
    from stemdisp.errors import RecipeError

    path = Path(tempfile.gettempdir()) / f"fuzz-{os.getpid()}.toml"
    path.write_bytes(data)
    try:
        found = recipe.load(path)
    except RecipeError as error:
        assert str(error)
        return
    assert recipe.parse(found.model_dump(mode="json")) == found


TARGETS: dict[str, Callable[[bytes], None]] = {"sniff": sniff, "calibrate": calibrate, "recipe": parse_recipe}


def _corpus(name: str, folder: Path) -> None:
    """Inputs to begin with."""
    if name == "recipe":
        import tomllib

        from stemdisp import recipe
        from stemdisp.io.recipe_toml import to_toml

        for i, (material, zone) in enumerate((("KTaO3", "1-10"), ("BaTiO3", "001"))):
            full = to_toml(recipe.for_material(material, zone))
            (folder / f"full{i}").write_text(full, encoding="utf-8")
            for section, values in tomllib.loads(full).items():
                for key, value in values.items() if isinstance(values, dict) else ():
                    line = f"[{section}]\n{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}\n"
                    (folder / f"{section}-{key}").write_text(line, encoding="utf-8")
        return
    from image_files import write_seeds

    for path in write_seeds(folder / "seeds").values():
        (folder / path.name).write_bytes(path.read_bytes()[:LONGEST])


def fuzz(name: str, seconds: int) -> None:
    """Run one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["stemdisp", "tomllib"]):
        import stemdisp.io.calibration
        import stemdisp.io.formats
        import stemdisp.io.tif_calibration
        import stemdisp.recipe  # noqa: F401
    folder = Path(tempfile.mkdtemp())
    _corpus(name, folder)
    FINDS.mkdir(exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=2000", "-verbosity=0"]
    options += ["-print_final_stats=1", f"-artifact_prefix={FINDS}/{name}-", "-seed=1"]
    atheris.Setup([name, *options, str(folder)], TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    """All targets one after the other; 1 where one found something."""
    if find_spec("atheris") is None:
        print(
            "Atheris is not installed (it has no package for this Python): heads, calibrations and recipes are left out"
        )
        return 0
    seconds, worst = int(os.environ.get("FUZZ_SECONDS", "60")), 0
    for name in TARGETS:
        done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=False)
        told = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        count = told[0].split()[-1] if told else "?"
        print(f"{name}: {count} inputs in {seconds} s, {'a find' if done.returncode else 'nothing'}", flush=True)
        if done.returncode:
            print(done.stderr[-4000:])
            worst = 1
    return worst


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fuzz(sys.argv[1], int(os.environ.get("FUZZ_SECONDS", "60")))
    else:
        sys.exit(main())
