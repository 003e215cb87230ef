"""Whatever is exported in whatever portions: lengths, sets and sequence numbers are right, and nothing is missing."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from conntap import Batch, _core
from flow_messages import ICMP, START_NS, TCP, Connection, Side, ended
from ipfix_reader import REVERSE, Reader

ports = st.integers(0, 65_535)
counts = st.integers(0, 2**64 - 1)
v4 = st.integers(1, 2**32 - 1).map(lambda number: str(IPv4Address(number)))
v6 = st.integers(1, 2**128 - 1).map(lambda number: str(IPv6Address(number)))


@st.composite
def connections(draw: st.DrawFn) -> Connection:
    address = draw(st.sampled_from([v4, v6]))
    inside, outside, server = draw(address), draw(address), draw(address)
    if address is v4 and draw(st.booleans()):
        proto = ICMP
        orig = Side(inside, server, echo=(draw(ports), 8, 0))
        reply = Side(server, outside, echo=(draw(ports), 0, 0))
    else:
        proto = draw(st.sampled_from([TCP, 17, 132]))
        there = draw(ports)
        orig = Side(inside, server, (draw(ports), there))
        reply = Side(server, outside, (there, draw(ports)))
    return Connection(
        proto,
        orig,
        reply,
        number=draw(st.integers(1, 2**32 - 1)),
        counters=draw(st.none() | st.tuples(counts, counts, counts, counts)),
        start_ns=START_NS + draw(st.integers(0, 10**9)),
        stop_ns=START_NS + 10**9 + draw(st.integers(0, 10**12)),
        mark=draw(st.none() | st.integers(1, 2**32 - 1)),
        helper=draw(st.none() | st.sampled_from(["ftp", "sip", "RAS", "x" * 15])),
        labels=draw(st.none() | st.binary(min_size=16, max_size=16)),
    )


portions = st.lists(st.lists(connections(), max_size=12), max_size=6)


@given(
    portions,
    st.integers(512, 2000),
    st.booleans(),
    st.sampled_from([9, 10]),
    st.lists(st.sampled_from(["templates", "statistics", "restart", "take_back"])),
)
def test_messages_are_whole(portions, mtu, extended, version, between):
    exporter = _core.IpfixExporter(mtu=mtu, extended=extended, version=version)
    reader, wanted, actions = Reader(), [], iter(between)
    for flows in portions:
        records = ended(*flows, bindings="nat") if flows else Batch.of([])
        messages = exporter.encode(records)
        action = next(actions, None)
        if action == "take_back":
            exporter.take_back()
            again = exporter.encode(records)
            assert [message[16:] for message in again if version == 10] == [
                message[16:] for message in messages if version == 10
            ]
            messages = again
        assert all(len(message) <= mtu for message in messages)
        reader.feed(messages)
        if action == "restart":
            exporter.restart()
            reader.expected.clear()
        elif action in {"templates", "statistics"}:
            reader.feed(getattr(exporter, action)())
        wanted += [event.flow for event in records.events() if event.kind == "FLOW"]
    assert reader.faults == []
    told = [
        (
            record[8 if 8 in record.values else 27],
            record[225 if 225 in record.values else 281],
            record[7],
            record[227],
            *(
                record.values.get(key)
                for key in ([1, 2, 23, 24] if version == 9 else [1, 2, (REVERSE, 1), (REVERSE, 2)])
            ),
        )
        for record in reader.flows()
    ]
    assert told == [
        (
            str(flow.original.src),
            str(flow.reply.dst),
            flow.original.icmp_id if flow.original.sport is None else flow.original.sport,
            flow.reply.icmp_id if flow.reply.dport is None else flow.reply.dport,
            *(
                getattr(counters, name) if counters else None
                for counters in (flow.original_counters, flow.reply_counters)
                for name in ("bytes", "packets")
            ),
        )
        for flow in wanted
    ]
