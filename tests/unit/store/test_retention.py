"""Retention: by kind, by size, and never what is under a hold."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from conntap import _core
from conntap.config.model import Limit, RetentionConfig
from conntap.store.hold import Hold, add, release
from conntap.store.manifest import Manifest, Writer
from conntap.store.retention import plan, retain
from conntap.store.verify import verify
from ledgers import SECOND, START, Connection, publish, records_of, rows

DAY = 86_400
INSIDE = [int(ip_address(f"10.0.0.{host}")) for host in (5, 6, 7)]


@pytest.fixture
def ledger(tmp_path):
    """A segment a day on three days: a connection behind NAT on each, and one without NAT on the first."""
    days = [
        [
            Connection(
                (f"10.0.0.{5 + day}", 40000),
                ("198.51.100.77", 443),
                outside=("203.0.113.7", 50510),
                start=day * DAY,
                stop=day * DAY + 9,
            )
        ]
        for day in range(3)
    ]
    days[0].append(Connection(("192.0.2.1", 1), ("198.51.100.77", 443), stop=10))
    whole = _core.Batch.concat(records_of([one for day in days for one in day])[0])
    publish(tmp_path, [whole.head(2)], [whole.after(2).head(1)], [whole.after(3)])
    return tmp_path


@pytest.fixture
def drop(ledger):
    def run(after_days, **limits):
        manifest = Writer(ledger, at_ns=START)
        try:
            return retain(str(ledger), manifest, RetentionConfig(**limits), now_ns=START + after_days * DAY * SECOND)
        finally:
            manifest.close()

    return run


def inside(ledger):
    return sorted(one for (one,) in rows(ledger, "in_addr") if one is not None)


def test_nothing_is_dropped_without_limits(ledger, drop):
    assert drop(10_000).files == []
    assert len(rows(ledger)) == 4


def test_by_age(ledger, drop):
    done = drop(3, flows=Limit(1.5 * DAY), nat=Limit(1.5 * DAY))
    assert (len(done.files), done.made) == (2, [])
    assert inside(ledger) == INSIDE[2:]
    assert verify(ledger).faults == []
    assert Manifest.read(ledger).last_seq == 4


def test_translations_outlive_their_connections(ledger, drop):
    drop(3, flows=Limit(1.5 * DAY), nat=Limit(90 * DAY))
    assert inside(ledger) == INSIDE
    state = Manifest.read(ledger)
    assert sorted(one.cls for one in state.segments.values()) == ["flows", "nat", "nat"]
    kept = rows(ledger, "dst_addr, orig_bytes, out_port")
    assert sorted(kept, key=repr) == sorted(
        [(None, None, 50510)] * 2 + [(int(ip_address("198.51.100.77")), 500, 50510)], key=repr
    )
    drop(100, flows=Limit(1.5 * DAY), nat=Limit(90 * DAY))
    assert rows(ledger) == []
    assert verify(ledger).faults == []


def test_by_size_the_oldest_go(ledger, drop):
    sizes = sorted((one.end_ns, one.bytes) for one in Manifest.read(ledger).segments.values())
    drop(3, max_bytes=sizes[1][1] + sizes[2][1])
    assert inside(ledger) == INSIDE[1:]


def test_what_is_held_stays_and_goes_when_it_is_released(ledger, drop):
    add(ledger, Hold("h1", "case 17", "host 10.0.0.5"))
    limits = {"flows": Limit(DAY), "nat": Limit(DAY)}
    done = drop(30, **limits)
    assert done.holds == {"h1"}
    assert inside(ledger) == INSIDE[:1]
    assert len(rows(ledger)) == 1
    again = drop(31, **limits)
    assert again.files == []
    release(ledger, "h1", at_ns=START)
    drop(32, **limits)
    assert rows(ledger) == []
    assert verify(ledger).faults == []


def test_a_hold_of_a_time_holds_that_alone(ledger, drop):
    add(ledger, Hold("h1", "case 17", from_ns=START + DAY * SECOND, to_ns=START + (DAY + 60) * SECOND))
    drop(30, flows=Limit(DAY), nat=Limit(DAY), max_bytes=0)
    assert inside(ledger) == INSIDE[1:2]


def test_a_hold_that_expired_holds_nothing(ledger, drop):
    add(ledger, Hold("h1", "case 17", expires_ns=START + DAY * SECOND))
    drop(30, flows=Limit(DAY), nat=Limit(DAY))
    assert rows(ledger) == []


def test_gaps_have_their_own_time(tmp_path):
    publish(tmp_path, [_core.Ledger().feed(_core.Batch.gap("overrun", START, START + 1, 3))])
    for days, left in ((1, 1), (3, 0)):
        manifest = Writer(tmp_path, at_ns=START)
        retain(str(tmp_path), manifest, RetentionConfig(gaps=Limit(2 * DAY)), now_ns=START + days * DAY * SECOND)
        manifest.close()
        assert len(Manifest.read(tmp_path).gaps) == left


def test_a_plan_changes_nothing(ledger):
    state = Manifest.read(ledger)
    found = plan(state, RetentionConfig(flows=Limit(DAY), nat=Limit(90 * DAY)), now_ns=START + 30 * DAY * SECOND)
    assert [(one.over, one.translations) for one in found] == [(("flows",), True)] * 3
    assert Manifest.read(ledger).segments == state.segments


def test_a_full_disk_drops_nothing(ledger, drop, monkeypatch):
    from conntap.store import compact

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compact, "write", refuse)
    with pytest.raises(OSError, match="No space"):
        drop(3, flows=Limit(1.5 * DAY), nat=Limit(90 * DAY))
    assert len(rows(ledger)) == 4
    assert verify(ledger).whole
