"""Legal holds: records that stay though they are too old. `DIR/holds.jsonl`, one line a change, only ever appended.

A file of its own, so that a hold can be set while a logger writes the ledger; retention looks at it before it drops
anything, and a hold that is being set waits until a retention at work has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from conntap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Hold", "active", "add", "held", "holds", "release"]

NAME: Final = "holds.jsonl"


@dataclass(frozen=True, slots=True)
class Hold:
    """What must stay.

    Attributes:
        id: names it.
        case: why: the number of a case.
        where: a filter; "" for every record.
        from_ns, to_ns: of connections that lived within these times; None for no bound.
        expires_ns: when it ends by itself; None: when it is released.
        set_ns: when it was set.
    """

    id: str
    case: str
    where: str = ""
    from_ns: int | None = None
    to_ns: int | None = None
    expires_ns: int | None = None
    set_ns: int = 0

    def touches(self, start_ns: int | None, stop_ns: int | None) -> bool:
        """Can records between these times be under it?"""
        if start_ns is None or stop_ns is None:
            return True
        return (self.to_ns is None or start_ns <= self.to_ns) and (self.from_ns is None or stop_ns >= self.from_ns)

    def sql(self) -> str:
        """The records under it, as a condition over a segment's columns."""
        from conntap import _core

        parts = [_core.Filter(self.where).sql()] if self.where else []
        if self.to_ns is not None:
            parts.append(f"coalesce(start_ns, 0) <= {self.to_ns}")
        if self.from_ns is not None:  # a beginning alone may be of a connection that went on
            parts.append(f"(start_ns + coalesce(duration_ns, 0) >= {self.from_ns} OR duration_ns IS NULL)")
        # Columns that are null decide nothing: what may be under it is.
        return f"coalesce({' AND '.join(f'({part})' for part in parts)}, true)" if parts else "true"


def holds(directory: str | os.PathLike[str]) -> dict[str, Hold]:
    """All that were set and not released, by id; those that expired too.

    Raises:
        UsageError: the file is damaged: nothing may be dropped until it is repaired.
    """
    path = Path(directory) / NAME
    found: dict[str, Hold] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return found
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            told = json.loads(line)
            if "released" in told:
                found.pop(told["released"], None)
            else:
                found[told["id"]] = Hold(**told)
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path}: line {number}: it is no hold: {error}", hint="repair the line: until then nothing is dropped"
            ) from error
    return found


def active(found: dict[str, Hold], now_ns: int) -> list[Hold]:
    """Those that hold now."""
    return [hold for hold in found.values() if hold.expires_ns is None or hold.expires_ns > now_ns]


@contextmanager
def held(directory: str | os.PathLike[str]) -> Generator[dict[str, Hold]]:
    """The holds; none is set while this goes on."""
    descriptor = os.open(Path(directory) / NAME, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield holds(directory)
    finally:
        os.close(descriptor)


def append(directory: str | os.PathLike[str], told: dict[str, object]) -> None:
    descriptor = os.open(Path(directory) / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        line = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if file.write(line) != len(line):
            file.truncate(size)
            raise OSError(28, "No space left on device")
        os.fsync(file.fileno())


def add(directory: str | os.PathLike[str], hold: Hold) -> None:
    """Set a hold; it holds when this returns.

    Raises:
        UsageError: the filter cannot be asked of a ledger, the id is taken, or the time ends before it begins.
        OSError: it cannot be written.
    """
    hold.sql()
    if hold.id in holds(directory):
        raise UsageError(f"there is a hold '{hold.id}' already", hint="release it, or choose another id")
    if hold.from_ns is not None and hold.to_ns is not None and hold.from_ns > hold.to_ns:
        raise UsageError("the time ends before it begins")
    append(directory, asdict(hold))


def release(directory: str | os.PathLike[str], id: str, *, at_ns: int) -> None:
    """End a hold.

    Raises:
        UsageError: there is none with that id.
        OSError: it cannot be written.
    """
    if id not in holds(directory):
        raise UsageError(f"there is no hold '{id}'", hint="conntap ledger hold list DIR")
    append(directory, {"released": id, "at_ns": at_ns})
