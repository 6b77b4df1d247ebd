"""What could fool the reader: each a number, a unit and a sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One systematic that was looked at; ``std`` is None where there is no error; ``warn`` says whether it matters
    here; ``displacement_pm`` is by how much it can move a displacement, where there is a number for that."""

    name: str
    value: float
    std: float | None
    unit: str
    sentence: str
    warn: bool = False
    displacement_pm: float | None = None


@dataclass(frozen=True)
class Quality:
    """All checks of one analysis."""

    checks: tuple[Check, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences of the checks that matter here."""
        return tuple(check.sentence for check in self.checks if check.warn)
