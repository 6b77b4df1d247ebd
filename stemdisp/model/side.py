"""What is known of the crystal on one side of an interface."""

from __future__ import annotations

from dataclasses import dataclass

from .interface import Interface
from .profile import Decay, Profile
from .vacancies import Vacancies


@dataclass(frozen=True)
class Side:
    """A crystal and its interface; a stage that did not run yet left None."""

    interface: Interface
    vacancies: Vacancies | None = None
    profile: Profile | None = None
    decay: Decay | None = None
