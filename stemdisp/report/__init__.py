"""Pages on one analysis and on many: every number on them was computed elsewhere."""

from .index import write_index_page
from .page import write_report

__all__ = ["write_index_page", "write_report"]
