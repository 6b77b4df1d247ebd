"""Put the tables that the benchmark printed into README.md: ``python into_readme.py TABLES.md``."""

from __future__ import annotations

import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
MOST_ROWS = 20
"""Tables longer than this are folded."""

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def folded(section: str) -> str:
    """A heading with its table; a long one opens when its heading is clicked."""
    heading, _, body = section.strip().partition("\n")
    if body.count("\n|") <= MOST_ROWS:
        return f"### {heading}\n{body}"
    return f"<details>\n<summary>{heading}</summary>\n{body}\n\n</details>"


def replaced(text: str, tables: str) -> str:
    """The text with what stands between the two marks exchanged."""
    tables = "\n\n".join(folded(section) for section in tables.split("### ")[1:])
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


if __name__ == "__main__":
    tables = Path(sys.argv[1]).read_text(encoding="utf-8")
    README.write_text(replaced(README.read_text(encoding="utf-8"), tables), encoding="utf-8", newline="\n")
