"""Result folders with few numbers in them, written without an analysis."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

SUMMARY: dict[str, Any] = {
    "name": "image",
    "recipe": "0123456789ab",
    "counts": {"assigned": 480, "displacements": 135},
    "lattice": {"material": "KTaO3", "zone": [1, -1, 0]},
    "interface": {"plane": [1, 1, 1], "spacing_pm": 230.27},
    "displacement": {"mean_pm": [3.0, 4.0], "sem_pm": [0.5, 0.5]},
    "polarization": {
        "of": "layer 0",
        "model": "moving_site",
        "models": {"moving_site": {"along_displacement_uC_cm2": 9.5, "along_displacement_std_uC_cm2": 0.4}},
    },
    "warnings": [],
    "seconds": {"find": 1.0, "refine": 2.5},
}

HEAD = (
    *("layer", "side", "distance_nm", "n", "magnitude_pm", "magnitude_sem_pm"),
    *("parallel_pm", "parallel_sem_pm", "normal_pm", "normal_sem_pm"),
    *("p_parallel_uC_cm2", "p_parallel_sem_uC_cm2", "p_normal_uC_cm2", "p_normal_sem_uC_cm2"),
)


def layer(number: int, parallel: float, sem: float = 0.5, *, side: int = 0) -> list[float]:
    """A row of the table of layers; normal is half of parallel, polarization a tenth of the displacement."""
    normal = parallel / 2
    length = float(np.hypot(parallel, normal))
    moved = [parallel, sem, normal, sem / 2]
    return [number, side, 0.2 * number, 9, length, sem, *moved, *(one / 10 for one in moved)]


def write_layers(folder: Path, rows: list[list[float]], head: tuple[str, ...] = HEAD) -> None:
    """Write layers.csv, empty cells for NaN."""
    lines = [",".join("" if math.isnan(value) else repr(value) for value in row) for row in rows]
    (folder / "layers.csv").write_text("\n".join([",".join(head), *lines, ""]), encoding="utf-8")


def write_result(folder: Path, rows: list[list[float]] | None = None, **changed: Any) -> Path:
    """A result folder that a catalogue takes for done, with its summary ``changed``."""
    folder.mkdir(parents=True)
    summary = SUMMARY | changed
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    (folder / "result.json").write_text(json.dumps({"warnings": summary["warnings"]}), encoding="utf-8")
    (folder / "report.html").write_text("<p>report</p>", encoding="utf-8")
    write_layers(folder, rows or [])
    return folder


def write_failure(folder: Path, sentence: str, stage: str = "read") -> Path:
    """A folder that says why there is no result."""
    folder.mkdir(parents=True)
    failure = {"class": "ReadError", "stage": stage, "sentence": sentence}
    (folder / "failure.json").write_text(json.dumps(failure), encoding="utf-8")
    return folder
