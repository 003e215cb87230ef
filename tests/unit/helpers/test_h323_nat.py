"""Through NAT, addresses are rewritten as the kernel rewrites them, and children can be told where they belong."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from conntap.helpers.base import ORIGINAL, REPLY, TCP, UDP, Nat, Tuple
from conntap.helpers.h323 import H245, Q931, Ras
from conntap.helpers.h323_nat import Ports, moved, rewrite_ras, rewrite_signalling, translated
from conntap.helpers.h323_per import Value
from conntap.helpers.testing import FakeConnection
from unit.helpers.h323_cases import HELPERS, connection, expectation_of, flow, get, hold, names, payload

TRANSLATED = [name for helper in (Ras, Q931, H245) for name in names(helper, nat=True)]
OUTSIDE = Tuple(ip_address("10.0.2.2"), ip_address("10.0.2.1"), UDP, 1719, 1719)


def session(l4proto: int = UDP) -> FakeConnection:
    """10.0.1.2 behind 10.0.2.1."""
    return FakeConnection("10.0.1.2", 1719, "10.0.2.2", 1719, l4proto=l4proto, reply=OUTSIDE._replace(l4proto=l4proto))


def addresses(*words: str) -> tuple[bytes, list[Value]]:
    """A payload of addresses with port 1720, and where each of them is."""
    raw = b"".join(ip_address(word).packed + b"\x06\xb8" for word in words)
    places = range(0, len(raw), 6)
    return raw, [Value(parts={"ipAddress": Value(parts={"ip": Value(number=place)})}) for place in places]


def ports(here: int, there: int) -> Ports:
    made = Ports()
    made.signalling = [here, there]
    return made


@pytest.mark.parametrize("name", TRANSLATED)
def test_the_kernels_answer(name):
    hold(name)


def child_of(master: FakeConnection, nat: Nat, *, anyone: bool, child: Tuple) -> Tuple:
    """The reply tuple that a child gets: what an engine must do for each `Nat.function` of these helpers."""
    before = child.inverse()
    of_master = (master.original, master.reply)[1 - nat.direction]
    of_child = (child, before)[1 - nat.direction]
    if nat.function == "nat-follow-master" or (nat.function == "Q.931" and not anyone):
        source, target = of_master.dst, of_master.src
    elif nat.function == "Q.931":
        source, target = of_child.src, of_master.src
    else:
        assert nat.function == "callforwarding"
        assert nat.saved_addr is not None
        source, target = of_child.src, nat.saved_addr
    return before._replace(src=target, sport=nat.saved_port, dst=source)


@pytest.mark.parametrize("name", TRANSLATED)
def test_what_an_expectation_remembers_tells_where_its_child_belongs(name):
    case = get(name)
    held = connection(case)
    reader = HELPERS[case["helper"]](case["options"])
    for recorded in case["packets"]:
        held.refuse = list(recorded.get("refuse", []))
        reader.packet(held.packet(bytes.fromhex(recorded["payload"]), direction=recorded["direction"]))
        for told in recorded.get("children", []):
            child = flow(told["l4proto"], told["original"])
            wanted = expectation_of(held, child).wanted
            if wanted.nat:
                reply = child_of(held, wanted.nat, anyone=wanted.src is None, child=child)
                assert reply == flow(told["l4proto"], told["reply"])
            else:
                assert told["reply"] == [told["original"][2], told["original"][3], *told["original"][:2]]


def test_only_ipv4_is_rewritten():
    outside = FakeConnection("2001:db8:2::1", 1, "2001:db8:2::2", 2).original.inverse()
    packet = FakeConnection("2001:db8:1::2", 1, "2001:db8:2::2", 2, reply=outside).packet(b"")
    assert not translated(packet)
    assert not moved(packet)


def test_of_a_translated_connection_only_one_side_appears_elsewhere():
    held = session()
    assert [translated(held.packet(b"", direction=way)) for way in (ORIGINAL, REPLY)] == [True, True]
    assert [moved(held.packet(b"", direction=way)) for way in (ORIGINAL, REPLY)] == [True, False]


def test_of_several_addresses_the_first_that_is_the_senders_is_rewritten():
    raw, values = addresses("10.0.1.9", "10.0.1.2", "10.0.1.2")
    packet = session().packet(raw)
    rewrite_signalling(packet, ports(1720, 1730), values)
    assert packet.payload == raw[:6] + bytes([10, 0, 2, 1]) + (1730).to_bytes(2) + raw[12:]


def test_a_loopback_address_before_it_is_rewritten_in_its_stead():
    raw, values = addresses("127.0.0.1", "10.0.1.2")
    packet = session().packet(raw)
    rewrite_signalling(packet, ports(1720, 1730), values)
    assert packet.payload == bytes([10, 0, 2, 1]) + (1730).to_bytes(2) + raw[6:]


def test_what_the_gatekeeper_echoes_becomes_the_inner_address_again():
    raw, values = addresses("10.0.2.1")
    packet = session().packet(raw, direction=REPLY)
    rewrite_signalling(packet, ports(1800, 1720), values)
    assert packet.payload == bytes([10, 0, 1, 2]) + (1800).to_bytes(2)


def test_another_port_is_left_alone():
    raw, values = addresses("10.0.1.2")
    packet = session().packet(raw)
    rewrite_signalling(packet, ports(1721, 1730), values)
    rewrite_ras(packet, values)
    assert packet.payload == raw


CHANNEL = "SNAT: T.120, two messages in a segment, four channels and no fifth"


def media(refuse: list[str | None]) -> tuple[list[int], bytes]:
    """Ports expected and payload left, where the table refuses so for a channel with ports 6000 and 6001."""
    held = session(TCP)
    held.refuse = [*refuse]
    packet = held.packet(payload(CHANNEL, 2))
    Q931().packet(packet)
    return [entry.wanted.dport for entry in held.table], packet.payload


def test_a_pair_of_ports_moves_on_by_two_until_both_are_free():
    expected, left = media(["busy", None, "busy", None, None])
    assert expected[:2] == [6008, 6009]
    assert (6008).to_bytes(2) in left


def test_a_pair_that_is_refused_for_good_leaves_the_message_as_it_is():
    for refuse in (["full", "full"], [None, "full", None, "full"]):
        assert media(refuse) == ([], payload(CHANNEL, 2))


def test_where_no_port_is_free_the_message_goes_on_as_it_is():
    held = session(TCP)
    held.refuse = ["full"]
    sent = bytes.fromhex(get("SNAT with a port: setup")["packets"][0]["payload"])
    packet = held.packet(sent)
    Q931().packet(packet)
    assert held.table == []
    assert ip_address("10.0.1.2").packed + (11002).to_bytes(2) in packet.payload


def test_the_last_pair_of_ports_is_the_last_that_is_tried():
    held = session(TCP)
    sent = (
        payload(CHANNEL, 2)
        .replace((6004).to_bytes(2), (65534).to_bytes(2))
        .replace((6005).to_bytes(2), (65535).to_bytes(2))
    )
    held.refuse = ["busy", "busy"]
    packet = held.packet(sent)
    Q931().packet(packet)
    assert held.table == []
    assert packet.payload == sent
