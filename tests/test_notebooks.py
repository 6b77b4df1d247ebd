"""The notebooks are short, use public names alone, and run from the first cell to the last."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import stemdisp

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))
README = (FOLDER / "README.md").read_text(encoding="utf-8")

MOST_LINES = 60
"""Lines of code that a notebook has fewer of."""

SUBMODULES = {f"stemdisp.{name}" for name in re.findall(r"`stemdisp\.(\w+)`", README)} - set(stemdisp.__all__)
"""What the README names beyond the package itself."""

LAST_CELL = """
import json as _json, os as _os, sys as _sys, matplotlib.pyplot as _plt, stemdisp as _stemdisp
print(_json.dumps([sum(_os.times()[:4]), _plt.get_fignums(), _sys.executable, _stemdisp.__file__]))
"""
"""CPU seconds of the kernel and its processes, figures left open, and whose Python and stemdisp that was."""

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_the_readme_lists_every_notebook() -> None:
    assert re.findall(r"^\| `(\w+\.py)`", README, re.MULTILINE) == [path.name for path in NOTEBOOKS]


@each_notebook
def test_short_and_without_outputs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(code) < MOST_LINES
    assert "format_name: percent" in text


@each_notebook
def test_public_names_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names if name.name.startswith("stemdisp")} <= {"stemdisp"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stemdisp"):
            assert node.module in SUBMODULES
            module = import_module(node.module)
            names = {name.name for name in node.names}
            assert names <= set(getattr(module, "__all__", names))
            assert not any(name.startswith("_") for name in names)
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
            if isinstance(node.value, ast.Name) and node.value.id == "stemdisp":
                assert node.attr in stemdisp.__all__


@pytest.mark.slow
@each_notebook
def test_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any) -> None:
    for name in ("jupytext", "nbclient", "ipykernel"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install '.[notebooks]'")
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook = jupytext.read(path)
    notebook.cells.append(nbformat.v4.new_code_cell(LAST_CELL))
    environment = {
        **os.environ,
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(tmp_path),
    } | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    # Without the kernels that a user has installed: what is left is that of the Python that runs this test.
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    folder = {"metadata": {"path": str(FOLDER)}}
    client = NotebookClient(notebook, kernel_name="python3", timeout=600, resources=folder)
    client.execute(env=environment)

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    told = "".join(output["text"] for output in notebook.cells[-1].outputs)  # a print may arrive in pieces
    seconds, left_open, python, package = json.loads(told)
    print(f"{path.name}: {seconds:.1f} CPU s")
    record_property("cpu_seconds", seconds)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not left_open
    assert os.path.realpath(python) == os.path.realpath(sys.executable)
    assert Path(package).is_relative_to(ROOT)
