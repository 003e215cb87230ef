"""A filter selects the same rows whoever runs it: the kernel's dump criteria, its socket filter, or this program.

Random filters over a random table and random changes, on the real kernel. Everything follows `--hypothesis-seed`.
"""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import conntap
from conntap.errors import ConntapError, KernelError, UsageError
from property.filters import EVENT_LEAVES, LEAVES, MARKS, PORTS, V4, V6, ZONES, expressions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap import Conntrack, Event, Flow

pytestmark = pytest.mark.lab

ENTRIES = 200
# What a table must have some of; drawn at random, NAT of one side is missing in one table of some hundreds.
NEEDED = ("zone 7", "orig_zone 1", "reply zone 7", "snat", "dnat", "assured", "ip6", "state established")
# CONFIRMED must be among the bits of a new entry (ctnetlink_change_status).
CONFIRMED, ASSURED, SEEN_REPLY, FIXED_TIMEOUT = 8, 4, 2, 0x400

TIMEOUTS = (10_000, 20_000, 30_000)  # seconds; compared with values in between, since they tick
PROTOCOLS = (1, 6, 17, 33, 47, 58, 132, 136, 253)
LABELS = (0, 3, 127)


def entry(rng: random.Random, *, labels: bool) -> dict[str, Any]:
    """Fields of a random flow; the kernel refuses a few, which is fine."""
    protocol = rng.choice(PROTOCOLS)
    v6 = protocol == 58 or (protocol != 1 and rng.random() < 0.4)
    pool = V6 if v6 else V4
    fields: dict[str, Any] = {
        "orig_src": rng.choice(pool), "orig_dst": rng.choice(pool), "l4proto": protocol,
        "timeout": rng.choice(TIMEOUTS), "mark": rng.choice(MARKS),
        "status": CONFIRMED | rng.choice((0, SEEN_REPLY, SEEN_REPLY | ASSURED, FIXED_TIMEOUT)),
    }  # fmt: skip
    if protocol in (1, 58):
        fields |= {"orig_icmp_type": 8 if protocol == 1 else 128, "orig_icmp_code": 0, "orig_icmp_id": rng.randrange(9)}
    elif protocol != 253:
        fields |= {"orig_sport": rng.choice(PORTS), "orig_dport": rng.choice(PORTS)}
    zone = rng.choice(ZONES)
    match rng.randrange(4) if zone else 0:
        case 1:
            fields["orig_zone"] = zone
        case 2:
            fields["reply_zone"] = zone
        case 3:
            fields["zone"] = zone
    match protocol:
        case 6:
            fields["tcp_state"] = rng.randrange(1, 9)
        case 132:
            fields |= {"sctp_state": rng.randrange(1, 8), "sctp_vtag_orig": rng.choice((1, 2)), "sctp_vtag_reply": 3}
    if protocol in (6, 17) and rng.random() < 0.3:
        fields[rng.choice(("nat_src", "nat_dst"))] = (rng.choice(pool), rng.choice(PORTS))
    if protocol == 6 and rng.random() < 0.2:
        fields["helper"] = "ftp"
    if labels and rng.random() < 0.3:
        fields["labels"] = sum(1 << bit for bit in rng.sample(LABELS, 2)).to_bytes(16, "little")
    return fields


def create(ct: Conntrack, rng: random.Random, *, labels: bool) -> bool:
    """Make a random entry if the kernel takes it: it may exist, or a helper may be missing."""
    fields = entry(rng, labels=labels)
    mirror = {"orig": "reply", "src": "dst", "dst": "src", "sport": "dport", "dport": "sport"}
    if "reply_zone" in fields:  # a reply tuple that is said must be said in whole
        for name in ("src", "dst", "sport", "dport"):
            if f"orig_{name}" in fields:
                fields[f"reply_{mirror[name]}"] = fields[f"orig_{name}"]
        if "orig_icmp_type" in fields:
            answer = {8: 0, 128: 129}[fields["orig_icmp_type"]]
            fields |= {"reply_icmp_type": answer, "reply_icmp_code": 0, "reply_icmp_id": fields["orig_icmp_id"]}
    try:
        ct.create(**fields)
    except KernelError:
        return False
    return True


class World:
    """A namespace of its own with its table and what it can do."""

    def __init__(self, host: Any, seed: int) -> None:
        self.host = host
        self.seed = seed
        self.rng = random.Random(seed)
        self.ct = conntap.open(host.pid)
        self.labels = self._allow_labels()

    def _allow_labels(self) -> bool:
        """Entries get labels once a rule speaks of them. Source: nf_connlabels_get."""
        if not shutil.which("nft"):
            return False
        rules = "add table inet t; add chain inet t c; add rule inet t c ct label set 127"
        try:
            self.host.run(["nft", rules])
        except ConntapError:
            return False
        return True

    def fill(self) -> None:
        """Random entries, until there are enough and some of each that is needed."""
        for _ in range(40 * ENTRIES):
            if self.ct.count() >= ENTRIES and not self.missing():
                return
            create(self.ct, self.rng, labels=self.labels)
        raise AssertionError(f"the kernel refuses too many entries: {self.ct.count()}, without {self.missing()}")

    def missing(self) -> list[str]:
        rows = list(self.ct.flows())
        return [text for text in NEEDED if not any(map(conntap.Filter(text).matches, rows))]

    def change(self, rng: random.Random) -> None:
        """Some random changes of the table."""
        if self.ct.count() < ENTRIES // 2:
            self.fill()
        flows = list(self.ct.flows())
        for _ in range(12):
            match rng.randrange(4):
                case 0 | 1:
                    create(self.ct, rng, labels=self.labels)
                case 2:
                    self.ct.requests.update_flows(rng.sample(flows, 2), {"mark": rng.choice(MARKS)})
                case 3:
                    self.ct.requests.delete_flows(rng.sample(flows, 1))


def seed_of(config: pytest.Config) -> int:
    given_seed = config.getoption("--hypothesis-seed", None)
    return int(given_seed) if str(given_seed).isdecimal() else 0


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    from conntap.lab import Host

    host = Host("filters", first=None)
    host.sysctl({f"netfilter/nf_conntrack_{name}": 1 for name in ("events", "acct", "timestamp")})
    try:
        yield World(host, seed_of(request.config))
    finally:
        host.close()


@pytest.fixture(scope="module")
def table(world: World) -> World:
    world.ct.flush()
    world.fill()
    return world


BOUNDED = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


class Budget:
    """Seconds for one test, ten examples at least.

    A dump walks the hash table of all namespaces: where others have filled it, fewer examples fit.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.examples = 0

    def spent(self) -> bool:
        self.examples += 1
        return self.examples > 10 and time.monotonic() >= self.end


def name(flow: Flow) -> tuple[object, ...]:
    """What tells a flow from all others of its time."""
    return (flow.original, flow.reply, flow.zone, flow.id)


def names(flows: list[Flow]) -> set[tuple[object, ...]]:
    found = {name(flow) for flow in flows}
    assert len(found) == len(flows), "a row came twice"
    return found


# ---------------------------------------------------------------- the properties


def test_every_leaf_selects_the_same_from_the_kernel_as_here(table: World) -> None:
    rows = list(table.ct.flows())
    different: list[str] = []
    budget = Budget(6)
    for text in random.Random(table.seed).sample(LEAVES, len(LEAVES)):
        if budget.spent():
            break
        for where in (conntap.Filter(text), conntap.Filter(f"not ({text})")):
            asked = names(list(table.ct.flows(where)))
            if asked != names([row for row in rows if where.matches(row)]):
                different += [where.explain()]
    assert not different


def test_a_dump_has_the_rows_that_match(table: World) -> None:
    budget = Budget(7)

    @BOUNDED
    @given(text=expressions(LEAVES))
    def holds(text: str) -> None:
        if not budget.spent():
            check_dump(table, text)

    holds()


def check_dump(table: World, text: str) -> None:
    where = conntap.Filter(text)
    asked = list(table.ct.flows(where))
    wanted = [row for row in table.ct.flows() if where.matches(row)]
    assert names(asked) == names(wanted), where.explain()


def drained(events: conntap.Events) -> list[Event]:
    """What has been delivered: requests deliver their events before they are answered."""
    found: list[Event] = []
    while (batch := events.receive(0)) is not None:
        found += batch.events()
    return found


def messages(events: list[Event]) -> list[bytes]:
    return [event.message() for event in events]


def test_a_listener_sees_the_events_that_match(table: World) -> None:
    budget = Budget(7)

    @BOUNDED
    @given(text=expressions([*LEAVES, *EVENT_LEAVES]), seed=st.integers(0, 1 << 32))
    def holds(text: str, seed: int) -> None:
        if not budget.spent():
            check_events(table, text, seed)

    holds()


def check_events(table: World, text: str, seed: int) -> None:
    where = conntap.Filter(text)
    rng = random.Random(seed)
    if not where.groups:
        with pytest.raises(UsageError, match="no event"):
            table.ct.events(where)
        return
    with (
        table.ct.events(where) as kernel,
        table.ct.events(where, kernel_filter=False) as here,
        table.ct.events() as all_,
    ):
        table.change(rng)
        every = drained(all_)
        wanted = messages([event for event in every if where.matches(event)])
        assert messages(drained(here)) == wanted, where.explain()
        assert messages(drained(kernel)) == wanted, where.explain()
        for events in (kernel, here, all_):
            assert events.counters["lost"] == 0
    assert every, "nothing happened"


def test_the_table_has_what_the_filters_ask_for(table: World) -> None:
    """The properties say nothing where no row is met: most leaves must divide the table."""
    table.fill()  # after the changes of other tests
    rows = list(table.ct.flows())
    dividing = [text for text in LEAVES if 0 < sum(map(conntap.Filter(text).matches, rows)) < len(rows)]
    assert len(rows) >= ENTRIES // 2
    assert {row.l4proto for row in rows} >= {1, 6, 17, 47, 58, 132, 253}
    assert len(dividing) > len(LEAVES) * 0.6, sorted(set(LEAVES) - set(dividing))
    assert set(NEEDED) <= set(dividing)
