"""The command line: what a user types, and how it ends."""

from . import results, run, tools
from .frame import app

__all__ = ["app", "main", "results", "run", "tools"]


def main() -> None:
    """Entry point of ``stemdisp``."""
    app(prog_name="stemdisp")
