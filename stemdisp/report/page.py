"""Write report.html: one page with everything inside, that asks for nothing from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..io.provenance import provenance
from ..model.analysis import Analysis
from .content import content

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks that turn the direction of reading, and what UTF-8 cannot hold."""


def _printable(value: Any) -> Any:
    return UNPRINTABLE.sub("?", value) if isinstance(value, str) else value


def environment() -> Environment:
    """Where the templates of all pages are, and how hostile text is made harmless on them."""
    return Environment(
        loader=PackageLoader("stemdisp", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_report(
    analysis: Analysis, figure_paths: Iterable[Path], path: str | Path, *, record: Mapping[str, Any] | None = None
) -> Path:
    """Write the report of an analysis.

    Parameters
    ----------
    analysis
        What to report; sections of stages that did not run are left out.
    figure_paths
        Figures to show, in this order; only the PNG files among them are used, and copied into the page.
    path
        The HTML file.
    record
        Provenance of the analysis (inputs, versions, times) as a commit record has it; else that of this moment.

    Returns
    -------
    The path.
    """
    html = (
        environment()
        .get_template("template.html")
        .render(content(analysis, figure_paths, record or provenance(analysis)))
    )
    path = Path(path)
    path.write_text(html, encoding="utf-8")
    return path
