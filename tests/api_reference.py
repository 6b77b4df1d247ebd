"""Build the reference of all public names from their docstrings: ``make docs``.

python tests/api_reference.py FOLDER
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pdoc

import stemdisp


def build(folder: Path) -> Path:
    """Write the reference; every warning is an error."""
    for name in stemdisp.__all__:
        getattr(stemdisp, name)  # names are loaded when first used, and the generator looks at what is loaded
    pdoc.render.configure(docformat="numpy", search=False, show_source=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc("stemdisp", "!stemdisp.", output_directory=folder)
    return folder / "stemdisp.html"


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
