"""What README.md says is so: its Python runs, its commands run, its tables name the columns that are written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import stemdisp
from stemdisp.io import tables
from stemdisp.io.formats import SUFFIXES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder that holds a checkout's sample_data and nothing else."""
    try:
        (tmp_path / "sample_data").symlink_to(ROOT / "sample_data", target_is_directory=True)
    except OSError as error:
        pytest.skip(f"links cannot be made here: {error}")
    return tmp_path


def _run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_python_of_the_readme(here: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    said = _run(["-c", blocks[0]], here)
    assert re.match(r"-?\d+\.\d+ \+- \d+\.\d+ pm along the interface\n", said)
    assert len(stemdisp.load(here / "by-hand" / "KTO111_1e5").profile or ()) > 5


@pytest.mark.slow
def test_the_commands_of_the_readme(here: Path) -> None:
    commands = re.findall(r"^    stemdisp (.*)$", README, re.MULTILINE)
    commands = [command for command in commands if "/shared" not in command]  # those of a cluster
    assert len(commands) == 6
    for command in commands:
        _run(["-c", "from stemdisp.cli import main; main()", *shlex.split(command)], here)
    for name in ("KTO111_1e5", "KTO111_clean"):
        assert {
            "report.html",
            "columns.csv",
            "cells.csv",
            "layers.csv",
            "summary.json",
            "recipe.toml",
            "analysis.npz",
        } < {path.name for path in (here / "results" / name).iterdir()}


@pytest.mark.parametrize(
    ("name", "contract"), [("columns", tables.COLUMNS), ("cells", tables.CELLS), ("layers", tables.LAYERS)]
)
def test_the_tables_of_the_readme_name_every_column_in_order(name: str, contract: tuple[str, ...]) -> None:
    section = README.split(f"**`{name}.csv`**")[1].split("\n\n**")[0].split("\n## ")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    named = [column for cell in first_cells for column in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(contract)
    assert [row for row in contract if row in named[:1]] == named[:1]


def test_the_readme_names_every_suffix_that_is_read() -> None:
    section = README.split("### Formats")[1].split("\n## ")[0]
    assert set(re.findall(r"`(\.\w+)`", section)) == SUFFIXES


def test_the_section_that_the_benchmark_writes_has_its_marks() -> None:
    assert README.count("<!-- bench: begin -->") == README.count("<!-- bench: end -->") == 1
    assert README.index("<!-- bench: begin -->") < README.index("<!-- bench: end -->")


def test_every_name_of_the_package_that_the_readme_uses_exists() -> None:
    used = set(re.findall(r"stemdisp\.([a-z_]\w+)", README))
    assert used <= set(stemdisp.__all__)


def test_every_file_that_the_readme_shows_is_there_and_small() -> None:
    for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / name).stat().st_size < 500_000
    for name in re.findall(r"`(sample_data/[\w/.]+?)/?`|`((?:CONTRIBUTING|CHANGELOG)\.md)`", README):
        assert (ROOT / (name[0] or name[1])).exists()
