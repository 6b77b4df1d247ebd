"""The whole result folder of one analysis: numbers, figures, report, and one line that says what came out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from ..model.analysis import Analysis

REPORT = "report.html"


def describe(analysis: Analysis) -> str:
    """Counts and the strongest layer in one line."""
    from ..report.words import count, layer_sentence, mean_words, strongest_layer

    columns, field, profile = analysis.columns, analysis.displacement, analysis.profile
    parts = [count(int((columns.site >= 0).sum()) if columns is not None else 0, "column")]
    if field is not None:
        parts.append(count(int(field.valid.sum()), "displacement"))
    row = strongest_layer(profile)
    if profile is not None and row is not None:
        parts.append(f"strongest {layer_sentence(profile, row)}")
    elif field is not None:
        found = next((one for one in analysis.headlines if one is not None), None)
        parts.append(f"no layers; all cells {mean_words(found)}" if found is not None else "no layers")
    if "arrays" in analysis.device:
        parts.append("fitted by arrays, many times slower than the kernel, which was not built")
    if analysis.warnings:
        parts.append(count(len(analysis.warnings), "warning"))
    return ", ".join(parts).replace("\u00a0", " ")


def draw(analysis: Analysis, folder: Path, record: dict[str, object], *, figures: bool) -> None:
    """Write figures and the report of an analysis into a folder."""
    from ..report import write_report

    paths: list[Path] = []
    if figures:
        from ..figures.save import save_figures

        paths = save_figures(analysis, folder / "figures")
    write_report(analysis, paths, folder / REPORT, record=record)


def write_result(
    analysis: Analysis,
    folder: Path,
    *,
    overwrite: bool = False,
    table: Literal["csv", "parquet"] = "csv",
    figures: bool = True,
    started: datetime | None = None,
) -> Path:
    """Write the result folder of an analysis with its figures and its report, as ``stemdisp run`` leaves it.

    Parameters and errors are those of :func:`stemdisp.save`; without ``figures`` the report has none.  Returns the
    folder.
    """
    from ..io.provenance import provenance
    from ..io.store import save

    return save(
        analysis,
        folder,
        overwrite=overwrite,
        table=table,
        extras=lambda new: draw(analysis, new, provenance(analysis, started), figures=figures),
        started=started,
    )
