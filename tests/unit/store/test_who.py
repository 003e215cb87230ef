"""Every kind of answer that `who` gives, on ledgers of a few records."""

from __future__ import annotations

import pytest

from conntap import _core
from conntap.errors import UsageError
from conntap.store.query import Ledger
from conntap.store.who import parse_address, parse_protocol
from ledgers import ICMP, ICMPV6, SECOND, UDP, Connection, at, held, records_of, write_ledger

OUT = ("203.0.113.7", 50510)
WEB = ("198.51.100.77", 443)


def ledger_of(tmp_path, connections, *, batches=(), bindings="none", **options):
    records, opened = records_of(connections, batches=batches, bindings=bindings)
    return Ledger(write_ledger(tmp_path, records, **options), overlay=held(opened))


def hosts(answer):
    return [str(found.host) for found in answer.candidates]


def test_behind_source_nat_it_is_the_host_inside(tmp_path):
    ledger = ledger_of(tmp_path, [Connection(("10.0.0.5", 40000), WEB, outside=OUT)])
    answer = ledger.who("203.0.113.7", 50510, "tcp", at=at(5))
    (found,) = answer.candidates
    assert (str(found.host), str(found.outside), str(found.remote)) == (
        "10.0.0.5:40000",
        "203.0.113.7:50510",
        "198.51.100.77:443",
    )
    assert (found.nat, found.role, found.end, found.sure) == ("snat", "source", "seen", True)
    assert (found.start_ns, found.stop_ns) == (at(0), at(10))
    assert (answer.certainty, answer.certain) == ("complete", True)


def test_a_port_that_nat_left_alone_is_found_too(tmp_path):
    ledger = ledger_of(tmp_path, [Connection(("10.0.0.5", 50510), WEB, outside=OUT)])
    assert hosts(ledger.who("203.0.113.7", 50510, at=at(5))) == ["10.0.0.5:50510"]


def test_without_nat_it_is_the_source_itself(tmp_path):
    ledger = ledger_of(tmp_path, [Connection(("192.0.2.9", 1234), WEB)])
    (found,) = ledger.who("192.0.2.9", 1234, at=at(5)).candidates
    assert (str(found.host), found.nat) == ("192.0.2.9:1234", None)


def test_a_dialled_address_is_the_server_behind_it(tmp_path):
    ledger = ledger_of(tmp_path, [Connection(("192.0.2.9", 1234), ("203.0.113.7", 80), server=("10.0.0.8", 8080))])
    (found,) = ledger.who("203.0.113.7", 80, "tcp", at=at(5)).candidates
    assert (found.role, str(found.host), str(found.remote)) == ("dialled", "10.0.0.8:8080", "192.0.2.9:1234")


@pytest.mark.parametrize("asked", [("10.0.0.8", 8080), ("10.0.0.5", 40000)])
def test_hosts_inside_are_found_by_their_own_address(tmp_path, asked):
    ledger = ledger_of(
        tmp_path,
        [
            Connection(("192.0.2.9", 1234), ("203.0.113.7", 80), server=("10.0.0.8", 8080)),
            Connection(("10.0.0.5", 40000), WEB, outside=OUT),
        ],
    )
    (found,) = ledger.who(*asked, at=at(5)).candidates
    assert (found.role, found.host.port) == ("inside", asked[1])


def test_ipv6(tmp_path):
    ledger = ledger_of(
        tmp_path, [Connection(("fd00::5", 40000), ("2001:db8::77", 443), outside=("2001:db8:1::1", 50510))]
    )
    assert hosts(ledger.who("2001:db8:1::1", 50510, "tcp", at=at(5))) == ["[fd00::5]:40000"]
    assert not ledger.who("2001:db8:1::2", 50510, "tcp", at=at(5)).candidates


@pytest.mark.parametrize(("proto", "inside", "dialled", "outside"), [
    (ICMP, ("10.0.0.5", 77), ("198.51.100.9", 0), ("203.0.113.7", 4711)),
    (ICMPV6, ("fd00::5", 77), ("2001:db8::9", 0), ("2001:db8:1::1", 4711)),
])  # fmt: skip
def test_of_icmp_the_id_stands_for_the_port(tmp_path, proto, inside, dialled, outside):
    ledger = ledger_of(tmp_path, [Connection(inside, dialled, outside=outside, proto=proto)])
    (found,) = ledger.who(*outside, proto, at=at(5)).candidates
    assert (found.host.port, found.remote.port) == (77, None)


def test_protocols_are_told_apart(tmp_path):
    ledger = ledger_of(
        tmp_path,
        [Connection(("10.0.0.5", 1), WEB, outside=OUT), Connection(("10.0.0.6", 2), WEB, outside=OUT, proto=UDP)],
    )
    assert hosts(ledger.who(*OUT, "udp", at=at(5))) == ["10.0.0.6:2"]
    assert ledger.who(*OUT, at=at(5)).ambiguous


def test_one_outside_port_towards_two_destinations_is_ambiguous(tmp_path):
    ledger = ledger_of(tmp_path, [
        Connection(("10.0.0.5", 1), WEB, outside=OUT),
        Connection(("10.0.0.6", 2), ("198.51.100.78", 443), outside=OUT, start=1),
    ])  # fmt: skip
    answer = ledger.who(*OUT, "tcp", at=at(5))
    assert (answer.hosts, answer.ambiguous, answer.certain) == (("10.0.0.5", "10.0.0.6"), True, False)
    assert not ledger.who(*OUT, "tcp", between=(at(0), at(20))).ambiguous  # all that had it, one after another or not


def test_the_skew_decides_at_the_edges_and_says_so(tmp_path):
    ledger = ledger_of(tmp_path, [Connection(("10.0.0.5", 1), WEB, outside=OUT, start=0, stop=10)])
    ask = lambda moment, **more: ledger.who(*OUT, at=at(moment), **more).candidates  # noqa: E731
    assert not ask(11.1) and not ask(-1.1)
    assert ask(10.9)[0].why_not == "it ended within the skew before"
    assert ask(-0.9)[0].why_not == "it began within the skew behind"
    assert not ask(10.9, skew=0.5)
    assert ask(14, skew="5s")
    assert ask(10)[0].sure


def test_an_open_flow_is_certain_and_still_open(tmp_path):
    ledger = ledger_of(tmp_path, [Connection(("10.0.0.5", 1), WEB, outside=OUT, stop=None)])
    answer = ledger.who(*OUT, at=at(100))
    assert (answer.certainty, answer.certain) == ("still open", True)
    assert (answer.candidates[0].end, answer.candidates[0].stop_ns) == ("open", None)


def test_a_binding_and_its_flow_are_one_candidate(tmp_path):
    ledger = ledger_of(tmp_path, [Connection(("10.0.0.5", 1), WEB, outside=OUT)], bindings="nat")
    assert len(list(ledger.flows().rows())) == 2
    assert len(ledger.who(*OUT, at=at(0.1)).candidates) == 1


def test_the_same_binding_twice_is_two_candidates_one_after_the_other(tmp_path):
    ledger = ledger_of(tmp_path, [
        Connection(("10.0.0.5", 1), WEB, outside=OUT, start=0, stop=10, id=1),
        Connection(("10.0.0.5", 1), WEB, outside=OUT, start=20, stop=30, id=2),
    ], bindings="nat")  # fmt: skip
    assert len(ledger.who(*OUT, at=at(25)).candidates) == 1
    assert [found.start_ns for found in ledger.who(*OUT, between=(at(0), at(30))).candidates] == [at(0), at(20)]


def test_nobody_is_certain_where_the_ledger_is_complete(tmp_path):
    answer = ledger_of(tmp_path, [Connection(("10.0.0.5", 1), WEB, outside=OUT)]).who(*OUT, at=at(500))
    assert (answer.candidates, answer.certain) == ((), True)
    assert answer.known == (at(-3600), at(3600))


def test_a_gap_that_overlaps_leaves_nothing_certain(tmp_path):
    gap = _core.Batch.gap("overrun", at(100), at(110), 5)
    ledger = ledger_of(tmp_path, [Connection(("10.0.0.5", 1), WEB, outside=OUT)], batches=[gap])
    answer = ledger.who(*OUT, at=at(105))
    assert (answer.certainty, answer.certain) == ("a gap overlaps", False)
    assert [(found.cause, found.lost) for found in answer.gaps] == [("overrun", 5)]
    assert ledger.who(*OUT, at=at(111.5)).certain
    assert ledger.who(*OUT, at=at(5)).known == (at(-3600), at(100))
    assert [found.cause for found in ledger.gaps()] == ["overrun"]


@pytest.mark.parametrize(("moment", "cause"), [(-7200, "before"), (7200, "behind")])
def test_outside_of_what_the_ledger_covers_nothing_is_certain(tmp_path, moment, cause):
    answer = ledger_of(tmp_path, [Connection(("10.0.0.5", 1), WEB, outside=OUT)]).who(*OUT, at=at(moment))
    assert ([found.cause for found in answer.gaps], answer.certain) == ([cause], False)


def test_without_a_journal_open_flows_are_not_known(tmp_path):
    records, _ = records_of([Connection(("10.0.0.5", 1), WEB, outside=OUT)])
    answer = Ledger(write_ledger(tmp_path, records)).who(*OUT, at=at(500))
    assert not answer.certain and not answer.open_known


def test_without_a_journal_a_binding_without_an_end_may_still_be_there(tmp_path):
    connections = [
        Connection(("10.0.0.5", 1), WEB, outside=OUT, stop=None),
        Connection(("10.0.0.6", 2), ("198.51.100.78", 443), outside=OUT, stop=10),
    ]
    records, _ = records_of(connections, bindings="nat")
    (found,) = Ledger(write_ledger(tmp_path, records)).who(*OUT, at=at(500)).candidates
    assert (str(found.host), found.end, found.why_not) == ("10.0.0.5:1", "unknown", "it was last known alive before")


def test_only_translations_are_enough(tmp_path):
    ledger = ledger_of(
        tmp_path, [Connection(("10.0.0.5", 40000), WEB, outside=OUT), Connection(("10.0.0.9", 3), WEB)], nat_only=True
    )
    (found,) = ledger.who(*OUT, at=at(5)).candidates
    assert (str(found.host), found.remote) == ("10.0.0.5:40000", None)
    assert not ledger.who("10.0.0.9", at=at(5)).candidates


def test_segments_of_both_kinds_and_the_journal_together(tmp_path):
    first, _ = records_of([Connection(("10.0.0.5", 1), WEB, outside=OUT)])
    second, opened = records_of([
        Connection(("10.0.0.6", 2), WEB, outside=("203.0.113.7", 2000), stop=20),
        Connection(("10.0.0.7", 3), WEB, outside=("203.0.113.7", 3000), stop=None),
    ])  # fmt: skip
    write_ledger(tmp_path, first)
    write_ledger(tmp_path, second, nat_only=True, name="segments/2026-11-02/b.parquet")
    answer = Ledger(tmp_path, overlay=held(opened)).who("203.0.113.7", at=at(5))
    assert sorted(hosts(answer)) == ["10.0.0.5:1", "10.0.0.6:2", "10.0.0.7:3"]


def test_a_damaged_segment_is_a_gap_and_the_rest_answers(tmp_path):
    first, _ = records_of([Connection(("10.0.0.5", 1), WEB, outside=OUT)])
    second, _ = records_of([Connection(("10.0.0.6", 2), WEB, outside=("203.0.113.7", 2000))])
    write_ledger(tmp_path, first)
    write_ledger(tmp_path, second, name="segments/2026-11-02/b.parquet")
    (tmp_path / "segments/2026-11-02/b.parquet").write_bytes(b"rubbish")
    answer = Ledger(tmp_path, overlay=held()).who("203.0.113.7", at=at(5))
    assert hosts(answer) == ["10.0.0.5:1"]
    assert ([found.cause for found in answer.gaps], answer.certain) == (["damage"], False)
    assert answer.damaged == (str(tmp_path / "segments/2026-11-02/b.parquet"),)


def test_an_answer_is_ready_for_json(tmp_path):
    answer = ledger_of(tmp_path, [Connection(("10.0.0.5", 40000), WEB, outside=OUT)]).who(*OUT, at=at(5)).as_dict()
    assert answer["candidates"][0]["host"] == {"address": "10.0.0.5", "port": 40000}
    assert (answer["certain"], answer["hosts"], answer["skew_ns"]) == (True, ["10.0.0.5"], SECOND)


@pytest.mark.parametrize("text", ["203.0.113", "example.org", "203.0.113.7:80"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match="no IP address"):
        parse_address(text)


def test_an_ipv4_address_in_ipv6_clothes_is_ipv4():
    assert str(parse_address("::ffff:203.0.113.7")) == "203.0.113.7"


def test_protocols_by_name_and_number():
    assert [parse_protocol(word) for word in ("tcp", "UDP", "icmp6", "47", 132)] == [6, 17, 58, 47, 132]
    for word in ("nonsense", "256"):
        with pytest.raises(UsageError, match="no IP protocol"):
            parse_protocol(word)
