"""What is wrong with settings: all of it at once, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conntap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ConfigError", "Fault"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        place: where it is said: `log.toml:12`, or of a command line the option.
        key: which setting, "" where none can be named.
        message: what is wrong, and what is right.
    """

    place: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.key, self.message) if part)


class ConfigError(UsageError):
    """Settings that cannot be used; `faults` lists all that is wrong, in order of lines."""

    def __init__(self, faults: Sequence[Fault], *, hint: str = "") -> None:
        told = [str(fault) for fault in faults]
        super().__init__(
            told[0] if len(told) == 1 else "\n  ".join(["these settings cannot be used:", *told]), hint=hint
        )
        self.faults = tuple(faults)
