"""Drops what is too old or too much, by kind of record; what is under a legal hold stays.

A segment is looked at as a whole: it is as old as its newest record. Where only some of its kinds are too old it is
written anew without them; connections whose own time is over and whose NAT still counts become translations: no
destination, no counters.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from conntap.store.compact import rewrite
from conntap.store.hold import active, held

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.store.hold import Hold
    from conntap.store.manifest import Manifest, SegmentEntry, Writer

__all__ = ["Plan", "Retained", "RetentionLike", "plan", "retain"]

SECOND: Final = 1_000_000_000
#: Kind of rows in the manifest → which limit holds, and its number in a segment.
KINDS: Final[Mapping[str, tuple[str, int]]] = {
    "flows": ("flows", 0),
    "interims": ("interims", 1),
    "bindings": ("nat", 2),
}


class LimitLike(Protocol):
    """`conntap.config.Limit`, or anything like it."""

    @property
    def age_seconds(self) -> float | None: ...
    @property
    def bytes(self) -> int | None: ...


class RetentionLike(Protocol):
    """`conntap.config.RetentionConfig`, or anything like it."""

    @property
    def flows(self) -> LimitLike: ...
    @property
    def interims(self) -> LimitLike: ...
    @property
    def nat(self) -> LimitLike: ...
    @property
    def gaps(self) -> LimitLike: ...
    @property
    def max_bytes(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one segment.

    Attributes:
        segment: the segment.
        over: kinds of rows in it whose time is over.
        translations: of these, translations stay.
    """

    segment: SegmentEntry
    over: tuple[str, ...]
    translations: bool


@dataclass
class Retained:
    """What was done.

    Attributes:
        files: segments that count no more.
        made: segments that took their place.
        bytes: that are free when the old files are removed.
        gaps: GAP records that count no more.
        holds: holds that kept something.
    """

    files: list[str] = field(default_factory=list[str])
    made: list[SegmentEntry] = field(default_factory=list["SegmentEntry"])
    bytes: int = 0
    gaps: int = 0
    holds: set[str] = field(default_factory=set[str])


def limit_of(segment: SegmentEntry, kind: str) -> str:
    """Which limit holds for rows of a kind: in a segment of translations that of NAT for all."""
    return "nat" if segment.cls == "nat" else KINDS[kind][0]


def plan(state: Manifest, wanted: RetentionLike, *, now_ns: int) -> list[Plan]:
    """What is to be done with which segments, oldest first; holds are not looked at."""
    limits: dict[str, LimitLike] = {name: getattr(wanted, name) for name in ("flows", "interims", "nat")}
    before: dict[str, float] = {  # a segment that ends before this is too old
        name: float("-inf") if limit.age_seconds is None else now_ns - limit.age_seconds * SECOND
        for name, limit in limits.items()
    }
    segments = sorted(state.segments.values(), key=lambda one: one.end_ns)

    def share(one: SegmentEntry, name: str) -> float:
        rows = sum(count for kind, count in one.kinds.items() if limit_of(one, kind) == name)
        return one.bytes * rows / max(one.rows, 1)

    for name, limit in limits.items():
        if limit.bytes is not None:
            sizes = [(one.end_ns, share(one, name)) for one in segments]
            before[name] = max(before[name], too_much(sizes, limit.bytes))
    always = float("-inf")
    if wanted.max_bytes is not None:
        always = too_much([(one.end_ns, float(one.bytes)) for one in segments], wanted.max_bytes)
    plans: list[Plan] = []
    for one in segments:
        over = tuple(kind for kind in one.kinds if one.end_ns < max(before[limit_of(one, kind)], always))
        if over:
            stays = one.cls == "flows" and one.end_ns >= max(before["nat"], always) and bool(one.snat or one.dnat)
            plans.append(Plan(one, over, translations=stays))
    return plans


def too_much(sizes: list[tuple[int, float]], most: int) -> float:
    """Of sizes with their times, oldest first: the time before which all must go so that the rest is not too much."""
    total = 0.0
    for end_ns, size in reversed(sizes):
        total += size
        if total > most:
            return end_ns + 1
    return float("-inf")


def retain(directory: str, manifest: Writer, wanted: RetentionLike, *, now_ns: int) -> Retained:
    """Drop what is too old or too much.

    Args:
        directory: of the ledger; its lock is held.
        manifest: its manifest.
        wanted: the limits.
        now_ns: the time.

    Raises:
        OSError: no room to write anew what stays; what was done before is done.
        ConntapError: a file is damaged, or duckdb is missing.
    """
    done = Retained()
    with held(directory) as found:
        for one in plan(manifest.state, wanted, now_ns=now_ns):
            times = one.segment.min_start_ns, one.segment.max_stop_ns
            touching = [hold for hold in active(found, now_ns) if hold.touches(*times)]
            carry_out(directory, manifest, one, touching, done, now_ns)
    if wanted.gaps.age_seconds is not None:
        before = now_ns - int(wanted.gaps.age_seconds * SECOND)
        done.gaps = sum(gap["before_ns"] < before for gap in manifest.state.gaps)
        if done.gaps:
            manifest.append({"type": "dropped", "at_ns": now_ns, "why": "retention", "gaps_before_ns": before})
    return done


def carry_out(directory: str, manifest: Writer, one: Plan, holds: list[Hold], done: Retained, now_ns: int) -> None:
    """Do it with one segment."""
    segment = one.segment
    names = tuple(sorted(hold.id for hold in holds))
    if holds and names == segment.holds and set(one.over) <= set(segment.over):
        return  # only what is held is left of them
    kept = [KINDS[kind][1] for kind in segment.kinds if kind not in one.over]
    gone = f"kind IN ({', '.join(str(KINDS[kind][1]) for kind in one.over)})"
    under = " OR ".join(hold.sql() for hold in holds) or "false"
    made: list[SegmentEntry] = []
    try:
        if kept or holds:
            stays = f"NOT ({gone}) OR {under}"
            made.append(rewrite(directory, manifest, [segment], level=segment.level, now_ns=now_ns, where=stays))
        if one.translations:
            made.append(
                rewrite(
                    directory, manifest, [segment], level=segment.level, now_ns=now_ns,
                    where=f"{gone} AND NOT ({under})", cls="nat",
                )
            )  # fmt: skip
        made = [replace(entry, why="retention", replaces=()) for entry in made if entry.rows]
        if made and names and made[0].cls == segment.cls:
            made[0] = replace(made[0], holds=names, over=one.over)
        if made:
            manifest.segment(replace(made[0], replaces=(segment.file,)), at_ns=now_ns, also=made[1:])
        else:
            manifest.append({"type": "dropped", "at_ns": now_ns, "why": "retention", "files": [segment.file]})
    except BaseException:
        for entry in made:
            if entry.file not in manifest.state.segments:
                with suppress(OSError):
                    (Path(directory) / entry.file).unlink()
        raise
    done.files.append(segment.file)
    done.made += made
    done.bytes += segment.bytes - sum(entry.bytes for entry in made)
    if any(entry.cls == segment.cls for entry in made):
        done.holds |= set(names)
