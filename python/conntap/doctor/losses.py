"""What the kernel lost, counted by itself: the counters of each CPU, and what each of them means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.doctor.model import Entry, Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conntap.doctor.reading import Reading

__all__ = ["COUNTERS", "look"]

CORE: Final = "net/netfilter/nf_conntrack_core.c"


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter: what it counts, where, how bad it is if it is not 0, why, and what to do."""

    name: str
    what: str
    source: str
    level: Level = "fine"
    why: str = ""
    todo: str = ""


COUNTERS: Final = (
    Counter(
        "drop",
        "packets dropped: the table was full, or memory was short",
        f"{CORE}, __nf_conntrack_alloc",
        "todo",
        "new connections did not come through",
        "enlarge nf_conntrack_max, or shorten timeouts",
    ),
    Counter(
        "early_drop",
        "unassured connections thrown out to make room",
        f"{CORE}, early_drop",
        "todo",
        "the table was full: a flood, or it is too small",
        "enlarge nf_conntrack_max, or shorten nf_conntrack_tcp_timeout_syn_sent",
    ),
    Counter(
        "insert_failed",
        "connections that lost a race for the same tuple, dropped with their packet",
        f"{CORE}, __nf_conntrack_confirm",
        "note",
        "usually two packets of one UDP client at once (DNS: A and AAAA), or NAT "
        "that has run out of ports for one destination",
    ),
    Counter(
        "chaintoolong",
        "connections dropped because a chain of the hash was full",
        f"{CORE}, __nf_conntrack_confirm",
        "todo",
        "the hash is too small for the table, or somebody aims at one chain",
        "enlarge nf_conntrack_buckets",
    ),
    Counter(
        "clash_resolve",
        "races for the same tuple that were settled without loss",
        f"{CORE}, nf_ct_resolve_clash",
        "fine",
        "both packets went through",
    ),
    Counter(
        "search_restart",
        "lookups begun anew because an entry moved meanwhile",
        f"{CORE}, __nf_conntrack_find_get",
        "fine",
        "harmless; many of them tell of a busy hash with long chains",
    ),
    Counter(
        "invalid",
        "packets that belong to no connection and can begin none",
        f"{CORE}, nf_conntrack_in",
        "note",
        "conntap doctor --log-invalid all 10s tells why each of them was",
    ),
    Counter(
        "error",
        "ICMP errors that are malformed, or about nothing that is known",
        f"{CORE}, nf_conntrack_handle_icmp",
        "fine",
        "scans and late errors",
    ),
    Counter(
        "found",
        "lookups that found an entry for a tuple about to be used",
        f"{CORE}, nf_conntrack_tuple_taken",
        "fine",
        "",
    ),
    Counter(
        "insert",
        "entries inserted by programs, or by settled races",
        f"{CORE}, nf_conntrack_hash_check_insert",
        "fine",
        "",
    ),
    Counter(
        "expect_new",
        "expectations that became connections",
        "net/netfilter/nf_conntrack_core.c, init_conntrack",
        "fine",
        "",
    ),
    Counter(
        "expect_create",
        "expectations made",
        "net/netfilter/nf_conntrack_expect.c, nf_ct_expect_related_report",
        "fine",
        "",
    ),
    Counter(
        "expect_delete",
        "expectations gone: used, expired, or replaced",
        "net/netfilter/nf_conntrack_expect.c, nf_ct_unlink_expect_report",
        "fine",
        "",
    ),
    Counter("icmp_error", "ICMP errors that are malformed (older kernels)", CORE, "fine", ""),
)
KNOWN: Final = {counter.name: counter for counter in COUNTERS}


def look(seen: Reading) -> Iterator[Entry]:
    """Each counter in sum, and by CPU where they differ much."""
    sums, cpus = _sums(seen.cpus), seen.cpus
    more = _sums(seen.expect_cpus)
    if not sums:
        return
    for name, value in {**sums, **more}.items():
        counter = KNOWN.get(name, Counter(name, "a counter that is unknown to us", ""))
        level: Level = counter.level if value else "fine"
        why = counter.why if value else "none"
        if value and name in sums and len(cpus) > 1:
            why = "; ".join(part for part in (why, _by_cpu([cpu.get(name, 0) for cpu in cpus])) if part)
        yield Entry(
            group="losses", name=name, value=f"{value:,}", number=value, level=level, what=counter.what, why=why,
            todo=counter.todo if value else "", source=counter.source,
        )  # fmt: skip


def _sums(cpus: tuple[Mapping[str, int], ...]) -> dict[str, int]:
    names = [name for name in (cpus[0] if cpus else ()) if name != "cpu"]
    return {name: sum(cpu.get(name, 0) for cpu in cpus) for name in names}


def _by_cpu(values: list[int]) -> str:
    """`CPU 0: 5, CPU 3: 2`, the busiest four."""
    order = sorted(range(len(values)), key=lambda cpu: -values[cpu])
    told = [f"CPU {cpu}: {values[cpu]:,}" for cpu in order if values[cpu]][:4]
    return ", ".join(told) + (" …" if sum(map(bool, values)) > len(told) else "")
