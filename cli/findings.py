"""What a check-up tells."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` is what to do where it is not OK."""

    level: Level
    what: str
    said: str
    advice: str = ""
