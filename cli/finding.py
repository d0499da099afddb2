"""What a check of `quietpager doctor` finds."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

State = Literal["ok", "note", "problem"]

WINDOW = timedelta(hours=24)
"""How far back the doctor looks."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: a note is worth knowing, a problem needs somebody."""

    check: str
    state: State
    found: str
    remedy: str = ""
