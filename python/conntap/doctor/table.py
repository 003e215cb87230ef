"""The table: how full it is, how its hash is loaded, what it costs in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.doctor.model import Entry, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.doctor.reading import Reading

__all__ = ["entries", "look"]

CORE: Final = "net/netfilter/nf_conntrack_core.c"
#: Bytes of one connection where /proc/slabinfo does not tell (struct nf_conn on 64 bits); extensions come on top.
FLOW_BYTES: Final = 256
#: What extensions take beside it (NAT, helper, sequence adjustment …), roughly: struct nf_ct_ext grows in steps.
EXTENSION_BYTES: Final = 128
#: Full: as much as this, and early drop is near.
NEAR, HALF = 0.90, 0.50
#: Entries in a chain, on average, when the table is full. The kernel's own default is 2: each flow is in it twice.
CHAIN_LONG: Final = 8
#: More of the machine's memory than this is no longer little.
MUCH: Final = 0.25


def entries(seen: Reading) -> int | None:
    """How many connections this namespace holds."""
    return seen.number("nf_conntrack_count")


def look(seen: Reading) -> Iterator[Entry]:
    """What there is to say of it."""
    count, most, buckets = entries(seen), seen.number("nf_conntrack_max"), seen.number("nf_conntrack_buckets")
    if count is not None and most is not None:
        yield _fullness(count, most, seen)
    if most is not None:
        yield _limit(most, seen)
    if buckets:
        yield _hash(count or 0, most, buckets, seen)
    yield from _expect_max(seen)
    if slab := seen.slabs.get("nf_conntrack"):
        yield _used(slab, buckets or 0, seen)


def _fullness(count: int, most: int, seen: Reading) -> Entry:
    level: Level = "fine"
    share = count / most if most else 0.0
    why, todo = f"{share:.0%} of {most:,} used", ""
    if not most:
        why = "no limit: memory is the limit"
    elif share >= NEAR:
        level = "todo"
        why = f"{share:.0%} of {most:,} used: when it is full, new connections push out unassured ones or are dropped"
        todo = _set("nf_conntrack_max", 2 * most, seen)
    elif share >= HALF:
        level, why = "note", f"{share:.0%} of {most:,} used: a doubling of traffic fills it"
    return Entry(
        group="table", name="nf_conntrack_count", value=f"{count:,}", level=level, number=count,
        what="connections held in this namespace", why=why, todo=todo, share=share if most else None,
        source=f"{CORE}, __nf_conntrack_alloc",
    )  # fmt: skip


def _set(name: str, value: int, seen: Reading) -> str:
    """The line to type, and where."""
    line = f"sysctl -w net.netfilter.{name}={value}"
    return line if seen.initial else f"{line}  (in the machine's first namespace: it is one for all)"


def _limit(most: int, seen: Reading) -> Entry:
    size = seen.slabs.get("nf_conntrack", (0, 0, FLOW_BYTES))[2] + EXTENSION_BYTES
    total = most * size + 8 * (seen.number("nf_conntrack_buckets") or 0)
    share = total / seen.memory if seen.memory else None
    level: Level = "fine"
    why, todo = f"full it takes about {_bytes(total)}", ""
    if share is not None:
        why += f", {share:.0%} of this machine's memory"
        if share > MUCH:
            level, todo = "todo", _set("nf_conntrack_max", _round(int(seen.memory * MUCH / size)), seen)
            why += ": a flood of connections can take that from everything else"
    return Entry(
        group="table", name="nf_conntrack_max", value=f"{most:,}", level=level, number=most, why=why, todo=todo,
        what="connections that a namespace may hold", source=f"{CORE}, nf_conntrack_init_start",
    )  # fmt: skip


def _hash(count: int, most: int | None, buckets: int, seen: Reading) -> Entry:
    # All namespaces share one hash; the object count of the machine is the better number where it is told.
    held = max(count, seen.slabs.get("nf_conntrack", (0, 0, 0))[0])
    now, full = 2 * held / buckets, 2 * (most or 0) / buckets
    level: Level = "fine"
    why = f"a chain has {now:.1f} entries now, {full:.1f} when the table is full (each connection is in two)"
    todo = ""
    if now > CHAIN_LONG:
        level = "todo"
    elif full > CHAIN_LONG:
        level = "todo"
        why += f": every packet of a full table walks through {full / 2:.0f} strangers"
    if level == "todo":
        todo = _set("nf_conntrack_buckets", _round(most or held), seen)
    return Entry(
        group="table", name="nf_conntrack_buckets", value=f"{buckets:,}", level=level, number=buckets, why=why,
        todo=todo, what="chains of the hash, one for all namespaces", source=f"{CORE}, nf_conntrack_hash_resize",
        share=min(1.0, now / CHAIN_LONG),
    )  # fmt: skip


def _expect_max(seen: Reading) -> Iterator[Entry]:
    most = seen.number("nf_conntrack_expect_max")
    if most is None:
        return
    waiting = None if seen.expectations is None else sum(number for number, _ in seen.expectations.values())
    level: Level = "fine"
    why, todo, share = "how many wait now is not told", "", None
    if waiting is not None:
        share = waiting / most if most else None
        why = f"{waiting:,} wait now"
        if share is not None and share >= NEAR:
            level, todo = "todo", _set("nf_conntrack_expect_max", 2 * most, seen)
            why += ": when it is full, helpers drop the packets that announce connections"
    yield Entry(
        group="table", name="nf_conntrack_expect_max", value=f"{most:,}", level=level, number=most, why=why, todo=todo,
        what="expectations that a namespace may hold", share=share,
        source="net/netfilter/nf_conntrack_expect.c, __nf_ct_expect_check",
    )  # fmt: skip


def _used(slab: tuple[int, int, int], buckets: int, seen: Reading) -> Entry:
    active, total, size = slab
    used = total * size + 8 * buckets
    share = used / seen.memory if seen.memory else None
    said = f"{active:,} objects of {size} bytes in all namespaces, and the hash; extensions come on top"
    return Entry(
        group="table", name="memory of connections", value=_bytes(used), number=used, level="fine",
        what="what the table takes now, on the whole machine", source="/proc/slabinfo, nf_conntrack",
        why=said if share is None else f"{share:.1%} of this machine's memory: {said}",
    )  # fmt: skip


def _round(value: int) -> int:
    """The power of two at or below."""
    return 1 << max(10, value.bit_length() - 1)


def _bytes(value: int) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:,.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value //= 1024
    return str(value)
