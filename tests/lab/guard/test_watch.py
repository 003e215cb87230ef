"""What is not allowed is taken back on the real kernel; what is allowed stays."""

from __future__ import annotations

import json
from dataclasses import replace

from conntap.guard.policy import Actions, Policy
from conntap.guard.watch import Guard
from lab.guard.scene import BACK_DOOR, FRIEND, STRANGER, running, until


def doing(*words, **more):
    return Policy(actions=Actions(on_deny=words, **more))


def test_what_anybody_may_use_is_deleted_and_what_the_peer_may_use_stays(scene):
    with running(Guard(netns=scene.pid)) as guard:
        scene.announce()
        scene.announce(BACK_DOOR, source="")
        until(lambda: guard.metrics.counts["deleted"] == 1)
        assert [one.tuple.dport for one in scene.ct.expectations()] == [40_000]
    assert guard.metrics.counts["allowed"] == 1
    assert guard.metrics.reaction.count == 1


def test_what_is_there_before_the_guard_is_looked_over(scene):
    scene.announce(BACK_DOOR, source="")
    guard = Guard(netns=scene.pid)
    guard.close()
    assert guard.metrics.counts["deleted"] == 1
    assert not list(scene.ct.expectations())


def test_of_two_tenants_with_the_same_addresses_the_right_one_is_stopped(scene):
    """The kernel tells no zone of an expectation, and deletes by it."""
    with running(Guard(netns=scene.pid)) as guard:
        scene.announce(zone=1)
        scene.announce(zone=2, server=STRANGER)
        until(lambda: guard.metrics.counts["deleted"] == 1)
        [left] = scene.ct.expectations()
        assert str(left.master.dst) == FRIEND
        scene.announce(BACK_DOOR, source="", zone=1)
        until(lambda: guard.metrics.counts["deleted"] == 2)
    counts = guard.metrics.counts
    assert (counts["expectations"], counts["denied"], counts["not_deleted"]) == (3, 2, 0)
    assert guard.zones.known == (1, 2)


def test_a_connection_that_slipped_in_is_ended(scene):
    scene.announce(BACK_DOOR, source="")
    assert scene.comes_in(scene.stranger, BACK_DOOR)
    assert scene.ct.flows(f"dport {BACK_DOOR}").count() == 1
    guard = Guard(netns=scene.pid)
    guard.close()
    assert guard.metrics.counts["related_deleted"] == 1
    assert scene.ct.flows(f"dport {BACK_DOOR}").count() == 0


def test_a_dry_run_changes_nothing_and_says_what_it_would_do(scene):
    told = []
    scene.announce(BACK_DOOR, source="")
    guard = Guard(netns=scene.pid, dry_run=True, tell=told.extend)
    guard.close()
    assert len(list(scene.ct.expectations())) == 1
    assert [one.outcome for one in told] == ["dry run: log, delete, delete-flow"]


def test_expectations_of_masters_that_make_no_events_are_found_in_the_table(scene):
    """A connection that began before anybody listened has no room for events: nf_conntrack_events is 2 by default."""
    scene.lab.gateway.sysctl({"netfilter/nf_conntrack_events": 0})
    with running(Guard(netns=scene.pid)) as guard:
        scene.announce(BACK_DOOR, source="")
        until(lambda: guard.metrics.counts["deleted"] == 1)


def test_the_master_is_blocked_for_a_time_and_free_when_the_guard_goes(scene):
    with running(Guard(doing("delete", "block", block_seconds=60.0), netns=scene.pid)) as guard:
        scene.announce(BACK_DOOR, source="")
        until(lambda: guard.metrics.counts["blocked"] == 1)
        assert "10.0.0.5" in scene.lab.gateway.run(["nft", "list", "set", "inet", "conntap_blocked", "hosts4"])
        scene.lab.client.run(["sh", "-c", "ping -c1 -W1 10.0.0.1; true"], check=False)
        scene.doors[BACK_DOOR].sendto(b"out", ("198.51.100.9", 9))
        assert scene.ct.flows("udp and dport 9").count() == 0
    assert "conntap_blocked" not in scene.tables()
    scene.doors[BACK_DOOR].sendto(b"out", ("198.51.100.9", 9))
    until(lambda: scene.ct.flows("udp and dport 9").count() == 1)


def test_alerts_tell_what_was_done(scene, tmp_path):
    policy = doing(
        "delete", "alert", alert=(f"jsonl:{tmp_path}/alerts",), command=("sh", "-c", f"env > {tmp_path}/env")
    )
    with running(Guard(policy, netns=scene.pid)) as guard:
        scene.announce(BACK_DOOR, source="")
        until(lambda: guard.metrics.counts["alerts"] == 2)
    [told] = [json.loads(line) for line in (tmp_path / "alerts").read_text().splitlines()]
    assert (told["outcome"], told["dst"], told["helper"]) == ("deleted", "10.0.0.5", "ftp")
    assert "CONNTAP_DPORT=40001" in (tmp_path / "env").read_text()


def test_lost_events_are_answered_by_reading_the_table(scene):
    guard = Guard(netns=scene.pid, buffer_bytes=4_608)
    for number in range(60):
        scene.announce(30_000 + number, source="")
    guard.step(0)
    while guard.step(0):
        pass
    guard.close()
    assert guard.metrics.counts["overruns"] >= 1
    assert not list(scene.ct.expectations())


def test_a_policy_allows_by_helper(scene):
    policy = Policy()
    ftp = replace(policy.default, name="ftp", sources=replace(policy.default.sources, value=("any",)))
    with running(Guard(Policy(sections={"ftp": ftp}), netns=scene.pid)) as guard:
        scene.announce(BACK_DOOR, source="")
        until(lambda: guard.metrics.counts["allowed"] == 1)
        assert scene.comes_in(scene.stranger, BACK_DOOR)


def test_the_table_is_asked_once_for_each_master_of_a_batch(scene, monkeypatch):
    """What the master is seen as outside matters where an end is none of its own."""
    asked = []
    with Guard(netns=scene.pid) as guard:
        master_of = guard.master_of
        monkeypatch.setattr(guard, "master_of", lambda subject: asked.append(subject) or master_of(subject))
        master = scene.announce(40_001, source=STRANGER)
        scene.expect(40_002, source=STRANGER, master=master)
        guard.drain()
        assert guard.metrics.counts["denied"] == 2
        assert len(asked) == 1
        scene.expect(40_003, source=STRANGER, master=master)
        guard.drain()
        assert len(asked) == 2  # a later connection may have the same ends
