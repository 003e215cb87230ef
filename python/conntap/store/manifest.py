"""`manifest.jsonl`: what a ledger consists of. JSON objects, one a line, each with the hash of the line before.

Lines are only ever appended. Of every kind of line `docs/store.md` tells the keys. A reader takes whole lines and
leaves a torn last one; the next logger cuts it off and says so in a line of its own. What has not got
its line here is not in the ledger.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from conntap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["NAME", "VERSION", "Class", "Line", "Manifest", "SegmentEntry", "Writer", "lines"]

NAME: Final = "manifest.jsonl"
VERSION: Final = 1
#: What the first line tells of the line before it.
NO_LINE: Final = "0" * 64

Class: TypeAlias = Literal["flows", "nat"]


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment as its line tells it.

    Attributes:
        file: below the ledger's directory; "" where a stretch of numbers has gaps and refused records alone.
        cls: "flows" has all columns, "nat" those of translations.
        level: 0 as the logger wrote it, 1 merged, 2 merged again.
        rows, bytes, sha256: of the file.
        first_seq, last_seq: numbers of the records that it accounts for; 0 where they have none.
        numbered: how many of these numbers came to the segment, as rows or gaps or without NAT.
        filtered: how many a filter refused.
        without_nat: how many have no NAT and so no row in a segment of translations.
        kinds: rows by kind of record.
        snat, dnat: rows with such a translation.
        min_start_ns, max_stop_ns: least and most of all times.
        min_out_addr, max_out_addr: of the outside's IPv4 addresses; None where there is none.
        ipv6: it has IPv6 rows.
        written_ns: when.
        replaces: files whose rows it has now.
        why: of one that replaces others: compaction, retention.
        holds: legal holds for which rows stayed that were too old …
        over: … and of which kinds these are.
    """

    file: str
    cls: Class = "flows"
    level: int = 0
    rows: int = 0
    bytes: int = 0
    sha256: str = ""
    first_seq: int = 0
    last_seq: int = 0
    numbered: int = 0
    filtered: int = 0
    without_nat: int = 0
    kinds: dict[str, int] = field(default_factory=dict[str, int])
    snat: int = 0
    dnat: int = 0
    min_start_ns: int | None = None
    max_stop_ns: int | None = None
    min_out_addr: int | None = None
    max_out_addr: int | None = None
    ipv6: bool = False
    written_ns: int = 0
    replaces: tuple[str, ...] = ()
    why: str = ""
    holds: tuple[str, ...] = ()
    over: tuple[str, ...] = ()

    @property
    def end_ns(self) -> int:
        """The last time in it, for its age."""
        return self.written_ns if self.max_stop_ns is None else self.max_stop_ns

    def as_line(self) -> dict[str, Any]:
        """For the manifest: what is empty or zero is left out."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        told["class"] = told.pop("cls")
        return {key: value for key, value in told.items() if value}

    @classmethod
    def of_line(cls, line: Mapping[str, Any]) -> SegmentEntry:
        """From the manifest; keys of later versions are left."""
        known = {one.name for one in fields(cls)}
        told: dict[str, Any] = {key: value for key, value in line.items() if key in known}
        told["cls"] = line.get("class", "flows")
        told |= {key: tuple(line.get(key, ())) for key in ("replaces", "holds", "over")}
        told.setdefault("file", "")
        return cls(**told)


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `fault` says what is wrong with it, "" where nothing is; then `told` has its keys."""

    number: int
    told: dict[str, Any]
    fault: str


def lines(data: bytes) -> Iterator[Line]:
    """The whole lines of a manifest, checked against the chain."""
    before = NO_LINE
    for number, raw in enumerate(data[: data.rfind(b"\n") + 1].split(b"\n")[:-1], start=1):
        told: dict[str, Any] = {}
        try:
            made: object = json.loads(raw)
            if not isinstance(made, dict):
                raise ValueError
            told = cast("dict[str, Any]", made)
            if not isinstance(told.get("type"), str):
                told = {}
                raise ValueError
            fault = (
                "" if told.get("prev") == before else f"it does not follow line {number - 1}: one of them was changed"
            )
        except ValueError:
            fault = "it is no JSON object with a type"
        yield Line(number, told, fault)
        before = hashlib.sha256(raw).hexdigest()


@dataclass
class Manifest:
    """What a ledger consists of now.

    Attributes:
        id: of this ledger; "" where its line is damaged.
        began_ns: when its first logger started; None if nobody wrote it down.
        segments: by file, those that count now, in the order in which they were written.
        gaps: of records of kind GAP, each once, with the keys of docs/fields.md.
        last_seq: number of the last record that is durable.
        until_ns: the last time that any line tells of.
        gone: files that count no more → when they were replaced or dropped.
        faults: lines that are damaged, with their numbers.
        torn: bytes of a last line that was never finished.
    """

    id: str = ""
    began_ns: int | None = None
    segments: dict[str, SegmentEntry] = field(default_factory=dict[str, SegmentEntry])
    gaps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    last_seq: int = 0
    until_ns: int = 0
    gone: dict[str, int] = field(default_factory=dict[str, int])
    faults: list[str] = field(default_factory=list[str])
    torn: int = 0

    @classmethod
    def read(cls, directory: str | os.PathLike[str]) -> Manifest:
        """Read the manifest of the ledger in *directory*, also while a logger writes it.

        Raises:
            UsageError: there is none, or it cannot be read.
        """
        path = Path(directory) / NAME
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise UsageError(
                f"{directory}: there is no ledger", hint="a ledger is a directory that conntap log wrote"
            ) from None
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        return cls.of_bytes(data)

    @classmethod
    def of_bytes(cls, data: bytes) -> Manifest:
        """From a manifest's bytes."""
        made = cls()
        for line in lines(data):
            if line.fault:
                made.faults.append(f"line {line.number}: {line.fault}")
            if line.told:
                made.apply(line.told)
        made.torn = len(data) - data.rfind(b"\n") - 1
        return made

    def apply(self, told: Mapping[str, Any]) -> None:
        """Take in what one line tells. Types that are not known say nothing."""
        at_ns = int(told.get("at_ns", 0))
        match told["type"]:
            case "ledger":
                self.id = str(told["id"])
            case "session":
                if self.began_ns is None and told.get("event") == "start":
                    self.began_ns = at_ns
                elif told.get("event") == "begin":
                    self._begin(at_ns)
            case "segment":
                self._segment(SegmentEntry.of_line(told), told.get("gaps", ()), at_ns)
                for also in told.get("also", ()):
                    self._segment(SegmentEntry.of_line(also), (), at_ns)
            case "dropped":
                self._forget(told.get("files", ()), at_ns)
                if (before := told.get("gaps_before_ns")) is not None:
                    self.gaps = [gap for gap in self.gaps if gap["before_ns"] >= before]
            case _:
                pass

    def _begin(self, at_ns: int) -> None:
        """What comes tells of the time from then on: of what lies between that and what is known nobody told."""
        self.began_ns = min(self.began_ns or at_ns, at_ns)
        if self.segments and at_ns > self.until_ns:
            unknown = {"lost": None, "seq": 0, "alive": 0, "ended": 0}
            self.gaps.append({"cause": "restart", "after_ns": self.until_ns, "before_ns": at_ns, **unknown})

    def _segment(self, entry: SegmentEntry, gaps: Iterable[dict[str, Any]], at_ns: int) -> None:
        self._forget(entry.replaces, at_ns)
        if entry.file:
            self.segments[entry.file] = entry
            self.gone.pop(entry.file, None)
        self.gaps += gaps
        self.last_seq = max(self.last_seq, entry.last_seq)
        self.until_ns = max(self.until_ns, entry.max_stop_ns or 0, *(gap["before_ns"] for gap in gaps), 0)

    def _forget(self, files: Iterable[str], at_ns: int) -> None:
        for file in files:
            self.segments.pop(file, None)
            self.gone[file] = at_ns


class Writer:
    """Appends to a manifest; threads may share it. The ledger's lock must be held.

    Attributes:
        state: what the ledger consists of, with all that was appended.
    """

    def __init__(self, directory: str | os.PathLike[str], *, at_ns: int, make: bool = True) -> None:
        """Open the manifest: make it where there is none, repair it where a line is torn.

        Args:
            make: a directory without a ledger becomes one.

        Raises:
            UsageError: there is no ledger, and none is to be made.
            OSError: it cannot be opened or written.
        """
        self.path = Path(directory) / NAME
        if not make and not self.path.exists():
            raise UsageError(f"{directory}: there is no ledger", hint="a ledger is a directory that conntap log wrote")
        self._lock = threading.Lock()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            data = self.path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                os.ftruncate(self._descriptor, len(whole))
            self._size = len(whole)
            self.state = Manifest.of_bytes(whole)
            last = whole[whole.rfind(b"\n", 0, -1) + 1 : -1]
            self._before = hashlib.sha256(last).hexdigest() if whole else NO_LINE
            if not whole:
                from uuid import uuid4

                self.append({"type": "ledger", "id": str(uuid4()), "version": VERSION, "at_ns": at_ns})
                descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            if len(whole) < len(data):
                self.append({"type": "repaired", "cut_bytes": len(data) - len(whole), "at_ns": at_ns})
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, told: Mapping[str, Any]) -> None:
        """Write one line; durable when this returns.

        Raises:
            OSError: no room, say; nothing of the line is left.
        """
        with self._lock:
            raw = json.dumps({**told, "prev": self._before}, ensure_ascii=False, separators=(",", ":")).encode()
            line = raw + b"\n"
            try:
                done = 0
                while done < len(line):
                    done += os.write(self._descriptor, line[done:])
                os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, self._size)
                raise
            self._size += len(line)
            self._before = hashlib.sha256(raw).hexdigest()
            self.state.apply(told)

    def segment(
        self,
        entry: SegmentEntry,
        *,
        at_ns: int,
        gaps: Iterable[Mapping[str, Any]] = (),
        also: Iterable[SegmentEntry] = (),
    ) -> None:
        """Publish a segment, with the gaps among its records: one line, so that all is told once or not at all.

        Args:
            entry: the segment; what it replaces counts no more.
            at_ns: when.
            gaps: GAP records that came among its records.
            also: other segments that take the place of the same old ones.

        Raises:
            OSError: as `append`.
        """
        told: dict[str, Any] = {"type": "segment", "at_ns": at_ns, **entry.as_line(), "file": entry.file}
        more = {"gaps": [dict(gap) for gap in gaps], "also": [one.as_line() for one in also]}
        told |= {key: listed for key, listed in more.items() if listed}
        self.append(told)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)
