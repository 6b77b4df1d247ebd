"""What else might be known of the crystal below an interface, for tests of what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stemdisp.model.analysis import Analysis


def on_side(analysis: Analysis, **known: Any) -> Analysis:
    """The analysis with more known of each of its sides."""
    return analysis.on_sides(lambda number, side: replace(side, **known))
