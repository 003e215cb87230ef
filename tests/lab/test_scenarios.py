"""Each scenario causes the events that it says, in conntap's eyes and in those of the original conntrack."""

from __future__ import annotations

import pytest

from conntap.errors import UsageError
from conntap.lab import Lab, topology
from conntap.lab.ruleset import SHORT_TIMEOUTS
from conntap.lab.scenarios import SCENARIOS, load
from conntap.lab.session import Session
from lab.conntrack_text import expectation_seen, flow_seen


@pytest.mark.parametrize("name", SCENARIOS)
def test_conntap_sees_every_event_that_must_follow(lab, name):
    session = Session(lab, load(name))
    rows = sum(len(batch) for batch in session.batches())
    assert session.facts is not None
    assert session.missing() == []
    assert rows == len(session.seen), "a row that is neither flow nor expectation: a gap"
    assert session.counters["lost"] == 0
    assert {claim.kind for claim in session.facts.claims} >= {"NEW", "DESTROY"}


def queued() -> int:
    """Bytes that wait in the netfilter sockets of this namespace (column Rmem)."""
    with open("/proc/thread-self/net/netlink", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return sum(int(row[4]) for row in rows if row[1] == "12")


def asleep(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_original_conntrack_sees_them_too(lab, need, wait_for, name):
    need("conntrack")
    wait_for(lambda: lab.gateway.listeners() == 0, "earlier listeners gone")
    flows = lab.gateway.popen(["conntrack", "-E"])
    expectations = lab.gateway.popen(["conntrack", "-E", "expect"])
    wait_for(lambda: lab.gateway.listeners() == 2, "conntrack listens")
    facts = load(name).run(lab)
    assert lab.forget() == 0, "a connection is still alive"
    wait_for(lambda: lab.gateway.call(queued) == 0, "conntrack has read the last event")
    wait_for(lambda: all(asleep(program.pid) for program in (flows, expectations)), "conntrack has printed it")
    lines: dict[object, list[str]] = {}
    for program in (flows, expectations):
        program.terminate()
        out, _ = program.communicate(timeout=10)
        lines[program] = out.decode().splitlines()
    seen = [flow_seen(line) for line in lines[flows]] + [expectation_seen(line) for line in lines[expectations]]
    assert facts.missing(seen) == []


def test_related_data_comes_in_only_through_the_helpers_rule(lab):
    """The packets are counted by the rule that accepts RELATED of these helpers and by no other."""
    for name, inbound in (("ftp-active", True), ("tcp", False)):
        lab.gateway.run(["nft", "reset", "counters"])
        load(name).run(lab)
        counter = lab.gateway.run(["nft", "list", "counter", "inet", "lab", "related_by_helper"])
        assert ("packets 0 " not in counter) is inbound, counter


def test_without_the_helper_the_claims_fail():
    with Lab() as lab:
        lab.gateway.run(["nft", "flush", "chain", "inet", "lab", "helpers"])
        session = Session(lab, load("ftp"))
        for _ in session.batches():
            pass
        missing = {claim.kind for claim in session.missing()}
    assert missing == {"NEW", "EXP_NEW", "EXP_DESTROY"}


def test_a_scenario_runs_again_in_the_same_lab(lab):
    for _ in range(2):
        session = Session(lab, load("sctp"))
        for _batch in session.batches():
            pass
        assert session.missing() == []


def test_unknown_scenario_is_a_usage_error_with_a_guess():
    with pytest.raises(UsageError, match="did you mean 'ftp6'"):
        load("fpt6")


def test_listing_names_every_scenario(conntap):
    done = conntap("lab", "list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SCENARIOS)
    assert done.returncode == 0


def test_finished_connections_are_forgotten_at_once(lab):
    """The settings of the ruleset are those of the kernel; established TCP keeps its own."""
    written = {name: read(lab, name) for name in SHORT_TIMEOUTS}
    assert written == dict.fromkeys(SHORT_TIMEOUTS, 1)
    assert read(lab, "netfilter/nf_conntrack_tcp_timeout_established") == 432000


def test_server_knows_no_way_to_the_private_side(lab):
    """So whatever it answers went through the NAT."""
    assert "10.0.0" not in lab.server.run(["ip", "route", "show", "table", "all"])
    assert topology.CLIENT.startswith("10.0.0.")


def read(lab: Lab, name: str) -> int:
    def inside() -> int:
        with open(f"/proc/sys/net/{name}", encoding="ascii") as file:
            return int(file.read())

    return lab.gateway.call(inside)
