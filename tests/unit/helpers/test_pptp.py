"""The PPTP helper follows calls, expects both directions of the tunnel, and ends it."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.base import GRE, ORIGINAL, REPLY, Expect, Nat, Tuple
from conntap.helpers.pptp import Pptp
from unit.helpers.noise import connection, conversations, hold
from unit.helpers.samples import of_helper, of_kernel

PNS, PAC = 0x1111, 0x2222  # call ids
START, STARTED, STOP, STOPPED = 1, 2, 3, 4
CALL, CALLED, INCOMING, ACCEPT, CONNECTED, CLEAR, DISCONNECT, WAN_ERROR, LINK = 7, 8, 9, 10, 11, 12, 13, 14, 15
SIZES = {1: 144, 2: 144, 3: 4, 4: 4, 5: 4, 6: 8, 7: 156, 8: 20, 9: 208, 10: 12, 11: 16, 12: 4, 13: 136, 14: 28, 15: 12}

CLIENT, SERVER, SEEN_AS = (ip_address(text) for text in ("10.0.1.2", "10.0.2.2", "10.0.2.1"))
FORTH = Tuple(CLIENT, SERVER, GRE, PNS, PAC)


def message(kind: int, first: int = 0, second: int = 0, result: int = 1, *, cut: int = 0) -> bytes:
    """A control message whose body begins with two call ids and a result."""
    body = struct.pack(">HHB", first, second, result) if kind in (CALLED, ACCEPT) else struct.pack(">HB", first, result)
    whole = body.ljust(SIZES.get(kind, 8), b"\0")[: SIZES.get(kind, 8)]
    return struct.pack(">HHIHH", 12 + len(whole), 1, 0x1A2B3C4D, kind, 0) + whole[: len(whole) - cut]


class Call:
    """A control connection; `client` and `server` send a message and return how it leaves the gateway."""

    def __init__(self, *, natted: bool = False) -> None:
        self.connection = connection(Pptp, natted=natted)
        self.helper = Pptp()
        self.seen = 40000 if natted else PNS  # the PNS's call id as the PAC knows it

    def client(self, payload: bytes) -> bytes:
        return self.send(ORIGINAL, payload)

    def server(self, payload: bytes) -> bytes:
        return self.send(REPLY, payload)

    def send(self, direction: int, payload: bytes) -> bytes:
        packet = self.connection.packet(payload, direction=direction)
        self.helper.packet(packet)
        return packet.payload

    def start(self) -> Call:
        self.client(message(START))
        self.server(message(STARTED))
        return self

    def dial(self) -> Call:
        self.start()
        self.client(message(CALL, PNS))
        self.server(message(CALLED, PAC, self.seen))
        return self

    @property
    def tunnels(self) -> list[Tuple]:
        wanted = [entry.wanted for entry in self.connection.table]
        return [Tuple(each.src, each.dst, each.l4proto, each.sport, each.dport) for each in wanted]


def test_the_sample_is_read_as_the_kernel_reads_it():
    assert of_helper("pptp", Pptp) == of_kernel("pptp", Pptp)
    assert any(read.lines for read in of_kernel("pptp", Pptp))


def test_an_answered_call_is_expected_both_ways():
    call = Call().dial()
    assert [entry.wanted for entry in call.connection.table] == [
        Expect(src=CLIENT, sport=PNS, dst=SERVER, dport=PAC, l4proto=GRE, removes_inverse=True),
        Expect(src=SERVER, sport=PAC, dst=CLIENT, dport=PNS, l4proto=GRE, removes_inverse=True),
    ]
    assert call.connection.gre == (FORTH, FORTH.inverse())


def test_a_call_of_the_server_is_expected_once_it_is_connected():
    call = Call().start()
    call.server(message(INCOMING, PAC))
    call.client(message(ACCEPT, PNS, PAC))
    assert call.tunnels == []
    call.server(message(CONNECTED, PNS))
    assert call.tunnels == [FORTH, FORTH.inverse()]


def test_an_answer_that_comes_again_is_expected_again():
    call = Call().dial()
    call.server(message(CALLED, PAC, PNS))
    assert len(call.tunnels) == 4


def test_a_second_call_is_not_expected_while_the_first_is_mapped():
    call = Call().dial()
    call.connection.table.clear()
    call.client(message(CALL, 0x1212))
    call.server(message(CALLED, 0x2323, 0x1212))
    assert call.tunnels == []
    assert call.connection.gre == (FORTH, FORTH.inverse())


def test_after_the_tunnel_is_gone_the_next_call_is_expected():
    call = Call().dial()
    call.connection.table.clear()
    call.connection.gre = None  # the engine forgets it with the GRE connection
    call.client(message(CALL, 0x1212))
    call.server(message(CALLED, 0x2323, 0x1212))
    assert call.tunnels == [
        FORTH._replace(sport=0x1212, dport=0x2323),
        FORTH._replace(sport=0x1212, dport=0x2323).inverse(),
    ]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([(ORIGINAL, CALL, PNS, 0), (REPLY, CALLED, PAC, PNS)], id="no session"),
        pytest.param([(REPLY, STARTED, 0, 0), (ORIGINAL, CALL, PNS, 0), (REPLY, CALLED, PAC, PNS)], id="not asked for"),
        pytest.param(
            [(ORIGINAL, START, 0, 0), (ORIGINAL, CALL, PNS, 0), (REPLY, CALLED, PAC, PNS)], id="not confirmed"
        ),
    ],
)
def test_messages_out_of_turn_are_ignored(steps):
    call = Call()
    for direction, kind, first, second in steps:
        call.send(direction, message(kind, first, second))
    assert call.tunnels == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(message(CALLED, PAC, PNS, result=2), id="refused"),
        pytest.param(message(CALLED, PAC, PNS + 1), id="another call"),
        pytest.param(message(CALLED, PAC, PNS, cut=1), id="too short"),
        pytest.param(message(CALLED, PAC, PNS).replace(b"\x1a\x2b\x3c\x4d", b"\x1a\x2b\x3c\x4e"), id="no cookie"),
        pytest.param(message(CONNECTED, PNS), id="an incoming call's"),
        pytest.param(b"\0\0\0\1", id="no header"),
    ],
)
def test_answers_that_do_not_count(answer):
    call = Call().start()
    call.client(message(CALL, PNS))
    call.server(answer)
    assert call.tunnels == []


def test_a_session_that_failed_takes_no_calls():
    call = Call()
    call.client(message(START))
    body = bytearray(message(STARTED))
    body[14] = 2
    call.server(bytes(body))
    call.client(message(CALL, PNS))
    call.server(message(CALLED, PAC, PNS))
    assert call.tunnels == []


def test_a_session_may_stop_and_start_again():
    call = Call().start()
    call.client(message(STOP))
    call.server(struct.pack(">HHIHH", 16, 1, 0x1A2B3C4D, STOPPED, 0) + b"\1\0\0\0")
    call.dial()
    assert call.tunnels == [FORTH, FORTH.inverse()]


def test_a_cleared_call_is_not_answered_any_more():
    call = Call().start()
    call.client(message(CALL, PNS))
    call.client(message(CLEAR, PNS))
    call.server(message(CALLED, PAC, PNS))
    assert call.tunnels == []


def test_a_disconnected_call_ends_its_tunnel():
    call = Call().dial()
    call.server(message(DISCONNECT, PAC))
    assert call.tunnels == []
    assert call.connection.gre is None
    assert call.connection.log[-3:] == [("unmap_gre",), ("kill", FORTH), ("kill", FORTH.inverse())]


@pytest.mark.parametrize("refuse", [["busy"], [None, "busy"]])
def test_a_tunnel_is_expected_both_ways_or_not_at_all(refuse):
    call = Call().start()
    call.client(message(CALL, PNS))
    call.connection.refuse = refuse
    call.server(message(CALLED, PAC, PNS))
    assert call.tunnels == []
    assert call.connection.gre is None


def test_a_translated_client_calls_under_its_port():
    call = Call(natted=True).start()
    assert call.client(message(CALL, PNS)) == message(CALL, 40000)
    assert call.server(message(CALLED, PAC, 40000)) == message(CALLED, PAC, PNS)
    back = Tuple(SERVER, SEEN_AS, GRE, PAC, 40000)
    assert call.tunnels == [FORTH, back]
    assert call.connection.gre == (FORTH, back)


def test_a_translated_tunnel_remembers_both_ids_and_the_kernel_forgets_to_remove_one():
    """Used first, the expectation of the server's direction leaves the other: the kernel looks under keys of 0."""
    call = Call(natted=True).dial()
    forth, back = (entry.wanted for entry in call.connection.table)
    assert (forth.nat, forth.removes_inverse) == (Nat(ORIGINAL, 40000, function="pptp"), True)
    assert (back.nat, back.removes_inverse) == (Nat(REPLY, PNS, function="pptp"), False)


@pytest.mark.parametrize(
    ("direction", "kind", "sent", "left"),
    [
        (ORIGINAL, CLEAR, PNS, 40000),
        (REPLY, DISCONNECT, PAC, PNS),
        (REPLY, WAN_ERROR, 40000, PNS),
        (REPLY, LINK, 40000, PNS),
        (ORIGINAL, LINK, PAC, PAC),
        (REPLY, INCOMING, PAC, PAC),
    ],
)
def test_later_messages_are_translated(direction, kind, sent, left):
    call = Call(natted=True).dial()
    assert call.send(direction, message(kind, sent)) == message(kind, left)


def test_messages_out_of_turn_are_not_translated():
    call = Call(natted=True).dial()
    assert call.server(message(CALLED, PAC, 1)) == message(CALLED, PAC, 1)
    assert call.server(message(CLEAR, PAC)) == message(CLEAR, PAC)


def test_a_translated_tunnel_is_ended_as_far_as_the_kernel_finds_it():
    call = Call(natted=True).dial()
    call.server(message(DISCONNECT, PAC))
    assert call.tunnels == [FORTH]
    assert call.connection.log[-1] == ("kill", Tuple(SERVER, SEEN_AS, GRE, PAC, 40000))


@given(
    conversations(*(message(kind, PNS, PNS) for kind in range(17)), message(CALLED, PAC, 40000), message(STARTED)[:14]),
    st.booleans(),
)
def test_noise_does_no_harm(steps, natted):
    hold(Pptp, steps, natted=natted)
