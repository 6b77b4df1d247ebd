"""One page on one analysis: every number on it was computed elsewhere."""

from .page import write_report

__all__ = ["write_report"]
