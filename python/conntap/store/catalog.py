"""What a ledger consists of, as its manifest tells: which files can hold an answer, and what nobody can know.

A gap is a stretch of time in which connections may have begun and ended unseen. Before the ledger's first time and
behind its last one lies, for a question, a gap as well.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from conntap.errors import ConntapError, UsageError
from conntap.lock import holder
from conntap.store.manifest import NAME, Manifest, SegmentEntry, lines

if TYPE_CHECKING:
    from conntap.store.overlay import Overlay
    from conntap.store.who import Question

__all__ = ["FOREVER_NS", "Catalog", "Gap", "Segment", "is_running"]

#: What a running logger has received is in its journal after so long.
LATENCY_NS = 2_000_000_000
#: Far behind every time that a record can have.
FOREVER_NS = (1 << 63) - 1


class Gap(NamedTuple):
    """What is not known: between two times connections may have lived that nobody saw.

    Attributes:
        cause: overrun, restart, clock, flush, reconcile, damage; before, behind: outside what the ledger covers.
        lost: events lost, where the kernel could tell.
        alive: connections that were found alive behind it and had not been known.
        ended: connections whose end in it was not seen.
    """

    cause: str
    after_ns: int
    before_ns: int
    lost: int | None = None
    seq: int = 0
    alive: int = 0
    ended: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; open ends are null."""
        made = self._asdict()
        made["after_ns"] = self.after_ns or None
        made["before_ns"] = None if self.before_ns == FOREVER_NS else self.before_ns
        return made


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of records.

    Attributes:
        path: the file.
        rows: records in it.
        min_start_ns, max_stop_ns: the least and the most of its records' times.
        out4: least and most IPv4 address of the outside; None where it has none.
        ipv6: it has IPv6 records.
        dnat: records of destination NAT in it.
        whole: it has all columns, not only those of translations.
    """

    path: str
    rows: int
    size: int
    min_start_ns: int | None
    max_stop_ns: int | None
    out4: tuple[int, int] | None
    ipv6: bool
    dnat: int
    whole: bool

    @property
    def is_cut(self) -> bool:
        """Is its file of another size than was written? One that is away has been merged, most likely just now."""
        try:
            return self.rows > 0 and os.stat(self.path).st_size != self.size
        except OSError:
            return False

    def lived(self, low: int | None, high: int | None) -> bool:
        """Can it hold a record that lived between two times?"""
        if not self.rows:
            return False
        if self.min_start_ns is None or self.max_stop_ns is None:
            return True
        return (high is None or self.min_start_ns <= high) and (low is None or self.max_stop_ns >= low)

    def may_hold(self, question: Question, late: int, *, open_known: bool) -> bool:
        """Can it hold a record of this address in that time? Beginnings count where open flows are unknown."""
        return self.lived(question.low if open_known else None, late) and (question.address.version == 4 or self.ipv6)


@dataclass
class Catalog:
    """Files, gaps, and the time that they cover.

    Attributes:
        begin_ns: the ledger knows nothing of what had ended before; None if nobody wrote it down.
        end_ns: the last time that it knows.
        last_seq: number of the last record that is in a segment.
        privacy: what the logger that runs, or ran last, does not tell; None where nobody wrote that down.
    """

    segments: list[Segment]
    gaps: list[Gap]
    begin_ns: int | None
    end_ns: int
    last_seq: int
    privacy: dict[str, Any] | None = None

    @classmethod
    def read(cls, directory: str) -> Catalog:
        """Read the manifest of a ledger.

        Raises:
            UsageError: there is none.
        """
        path = os.path.join(directory, NAME)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            if os.path.isdir(os.path.join(directory, "journal")):
                return cls([], [], None, 0, 0)  # a logger that has not written its first segment
            raise UsageError(
                f"{directory} has no ledger: there is no {path}",
                hint="--ledger DIR, or $CONNTAP_LEDGER, says where it is; `conntap log --to parquet:DIR` makes one",
            ) from None
        except PermissionError as error:
            raise ConntapError(f"{path}: {error.strerror}", hint="ask as the user that logs, or with sudo") from error
        manifest, horizon = Manifest(), 0
        privacy: dict[str, Any] | None = None
        for line in lines(data):
            if line.fault:
                manifest.faults.append(f"line {line.number}: {line.fault}")
            if line.told:
                horizon = max(horizon, forgotten(line.told, manifest))
                manifest.apply(line.told)
                if line.told.get("type") == "session" and line.told.get("event") == "start":
                    privacy = line.told.get("privacy") or {}
        gaps = [as_gap(gap) for gap in manifest.gaps]
        if manifest.faults:  # nobody knows of which time the segments are that it told of
            gaps.append(Gap("damage", 0, FOREVER_NS))
        begin = manifest.began_ns
        if horizon:
            begin = max(begin or 0, horizon)
        segments = [as_segment(entry, directory) for entry in manifest.segments.values()]
        return cls(segments, gaps, begin, manifest.until_ns, manifest.last_seq, privacy)

    def init_sql(self, directory: str) -> str:
        """SQL that makes the views in any DuckDB, with the segments found by their names."""
        from conntap.store import views

        where = os.path.join(directory, "segments", "*", "*.parquet")
        comment = f"-- Views of the conntap ledger in {directory}; times are UTC.\n"
        records = views.records_view([where], glob=True)
        return comment + views.MACROS + records + views.flows_view() + self.gaps_view() + self.segments_view()

    def extend(self, overlay: Overlay, *, running: bool) -> None:
        """Add what the logger's journal knows; *running*: a logger is at work, and so all is known up to now."""
        self.gaps += [as_gap(gap) for gap in overlay.gaps]
        self.gaps.sort(key=lambda gap: (gap.after_ns, gap.before_ns))
        self.end_ns = max(self.end_ns, overlay.until_ns)
        if running:
            from conntap import _core

            self.end_ns = max(self.end_ns, _core.now_ns() - LATENCY_NS)

    def unknown(self, low: int, high: int) -> tuple[Gap, ...]:
        """The gaps that overlap a time; what lies outside of all that the ledger covers is one, too."""
        found = [gap for gap in self.gaps if gap.after_ns <= high and gap.before_ns >= low]
        if self.begin_ns is not None and low < self.begin_ns:
            found.insert(0, Gap("before", 0, self.begin_ns))
        if high > self.end_ns:
            found.append(Gap("behind", self.end_ns, FOREVER_NS))
        return tuple(found)

    def known(self, low: int, high: int) -> tuple[int | None, int | None]:
        """Between which times around these the ledger has no gap."""
        before = [gap.before_ns for gap in self.gaps if gap.before_ns < low]
        behind = [gap.after_ns for gap in self.gaps if gap.after_ns > high]
        if self.begin_ns is not None:
            before.append(self.begin_ns)
        return max(before) if before else None, min([*behind, self.end_ns])

    def gaps_view(self) -> str:
        """The view `gaps` as SQL."""
        from conntap.store.views import values_view

        columns = {
            "cause": "VARCHAR",
            "gap_after_ns": "make_timestamp_ns",
            "gap_before_ns": "make_timestamp_ns",
            "lost": "UBIGINT",
            "seq": "UBIGINT",
            "gap_alive": "UBIGINT",
            "gap_ended": "UBIGINT",
        }
        return values_view("gaps", columns, self.gaps)

    def segments_view(self) -> str:
        """The view `segments` as SQL."""
        from conntap.store.views import values_view

        columns = {
            "path": "VARCHAR",
            "rows": "UBIGINT",
            "size": "UBIGINT",
            "min_start_ns": "make_timestamp_ns",
            "max_stop_ns": "make_timestamp_ns",
            "dnat": "UBIGINT",
            "whole": "BOOLEAN",
        }
        rows = [
            (one.path, one.rows, one.size, one.min_start_ns, one.max_stop_ns, one.dnat, one.whole)
            for one in self.segments
        ]
        return values_view("segments", columns, rows)


def forgotten(told: dict[str, Any], manifest: Manifest) -> int:
    """Up to when records are missing once this line counts: retention dropped them; 0 where none are."""
    if told.get("type") == "dropped":
        files = told.get("files", ())
    elif told.get("why") == "retention" and told.get("holds"):
        files = told.get("replaces", ())  # only what is held is left
    else:
        return 0
    entries = (manifest.segments.get(file) for file in files)
    return max((entry.end_ns for entry in entries if entry is not None), default=0)


def as_segment(entry: SegmentEntry, directory: str) -> Segment:
    """A segment from its line."""
    least, most = entry.min_out_addr, entry.max_out_addr
    return Segment(
        path=os.path.join(directory, entry.file),
        rows=entry.rows,
        size=entry.bytes,
        min_start_ns=entry.min_start_ns,
        max_stop_ns=entry.max_stop_ns,
        out4=None if least is None or most is None else (least, most),
        ipv6=entry.ipv6,
        dnat=entry.dnat,
        whole=entry.cls == "flows",
    )


def as_gap(found: dict[str, Any]) -> Gap:
    """A gap from a manifest or a builder."""
    return Gap(**{name: found[name] for name in Gap._fields if found.get(name) is not None})


def is_running(directory: str) -> bool:
    """Does a logger hold the journal of this ledger now?"""
    return holder(os.path.join(directory, "journal")) is not None
