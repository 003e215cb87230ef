"""The FTP helper announces what the kernel's does, and drops what the kernel's drops."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.base import ORIGINAL, REPLY, Drop, Expect, Nat, Refused
from conntap.helpers.ftp import Ftp
from unit.helpers.noise import connection, conversations, hold
from unit.helpers.samples import of_helper, of_kernel


class Session:
    """A control connection in which both sides have begun a line; each segment follows the one before."""

    def __init__(self, *, family: int = 4, natted: bool = False, loose: int = 0) -> None:
        self.connection = connection(Ftp, family=family, natted=natted)
        self.helper = Ftp({"loose": loose})
        self.seq = [1000, 5000]
        self.send(ORIGINAL, b"USER x\r\n")
        self.send(REPLY, b"220 ready\r\n")

    def send(self, direction: int, payload: bytes, *, seq: int | None = None) -> bytes:
        """Send a segment: how it leaves the gateway."""
        packet = self.connection.packet(payload, direction=direction, seq=self.seq[direction] if seq is None else seq)
        if seq is None:
            self.seq[direction] += len(payload)
        self.helper.packet(packet)
        return packet.payload

    def client(self, payload: bytes) -> bytes:
        return self.send(ORIGINAL, payload)

    def server(self, payload: bytes) -> bytes:
        return self.send(REPLY, payload)

    @property
    def expected(self) -> list[Expect]:
        return [entry.wanted for entry in self.connection.table]

    @property
    def ports(self) -> list[int]:
        return [wanted.dport for wanted in self.expected]


@pytest.mark.parametrize("name", ["ftp_active", "ftp_passive", "ftp6", "ftp_edge", "ftp_octets", "ftp_mark_consume"])
def test_the_samples_are_read_as_the_kernel_reads_them(name):
    assert of_helper(name, Ftp) == of_kernel(name, Ftp)
    assert any(read.lines for read in of_kernel(name, Ftp))


def test_the_translated_sample_is_read_as_the_kernel_reads_it():
    assert of_helper("nat_ftp_active", Ftp, seen_as="10.0.2.1") == of_kernel("nat_ftp_active", Ftp)


def test_port_lets_the_server_reach_the_client():
    session = Session()
    session.client(b"PORT 10,0,1,2,195,80\r\n")
    assert session.expected == [
        Expect(src=ip_address("10.0.2.2"), dst=ip_address("10.0.1.2"), dport=50000, l4proto=6),
    ]


def test_227_lets_the_client_reach_the_server():
    session = Session()
    session.server(b"227 Entering Passive Mode (10,0,2,2,200,10).\r\n")
    assert session.expected == [
        Expect(src=ip_address("10.0.1.2"), dst=ip_address("10.0.2.2"), dport=51210, l4proto=6),
    ]


@pytest.mark.parametrize(
    "answer", [b"227 10,0,2,2,200,10 \r\n", b"227 =10,0,2,2,200,10\r\n", b"227 mode [10,0,2,2,200,10]"]
)
def test_227_needs_no_parentheses(answer):
    session = Session()
    session.server(answer)
    assert session.ports == [51210]


@pytest.mark.parametrize("command", [b"EPRT |1|10.0.1.2|6275|\r\n", b"eprt !1!10.0.1.2!6275!\r\n"])
def test_eprt_may_have_any_delimiter(command):
    session = Session()
    session.client(command)
    assert session.ports == [6275]


@pytest.mark.parametrize(
    "text",
    [b"2001:db8:1::2", b"2001:0DB8:00001:0:0:0:0:2", b"2001:db8:1::0.0.0.2", b"2001:db8:1::2\0"],
    ids=["short", "long", "with an IPv4 tail", "ended by a zero byte"],
)
def test_eprt_reads_every_spelling_of_an_ipv6_address(text):
    session = Session(family=6)
    session.client(b"EPRT |2|" + text.rstrip(b"\0") + (b"\0" if text.endswith(b"\0") else b"|") + b"6275|\r\n")
    assert session.ports == [6275]


def test_229_names_a_port_of_the_server_itself():
    session = Session(family=6)
    session.server(b"229 Extended Passive Mode (|||51212|)\r\n")
    assert session.expected == [
        Expect(src=ip_address("2001:db8:1::2"), dst=ip_address("2001:db8:2::2"), dport=51212, l4proto=6),
    ]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(b"PO", id="a cut keyword"),
        pytest.param(b"PORT", id="nothing behind it"),
        pytest.param(b"PORT 10,0,1,2,195,", id="cut numbers"),
        pytest.param(b"PORT 10,0,1,2,195,80 \r\n", id="a blank before the end"),
        pytest.param(b"PORT 10,0,1,2,195\r\n", id="five numbers"),
        pytest.param(b"PORT 10,0,1,2,195,80,1\r\n", id="seven numbers"),
        pytest.param(b"EPRT |1|10.0.1.2|0|\r\n", id="port 0"),
        pytest.param(b"EPRT |2|2001:db8::1|80|\r\n", id="the other family"),
        pytest.param(b"EPRT |1|10.0.1.2|80", id="no delimiter at the end"),
        pytest.param(b"EPRT .1.10.0.1.2.80.\r\n", id="a point for a delimiter"),
        pytest.param(b"EPRT 11110.0.1.2180 1\r\n", id="a digit for a delimiter"),
    ],
)
def test_a_command_that_begins_and_does_not_end_is_dropped(command):
    session = Session()
    with pytest.raises(Drop):
        session.client(command)
    assert session.expected == []


@pytest.mark.parametrize(
    "answer",
    [b"2", b"227 Entering Passive Mode (10,0,2,2,200,", b"227 10,0,2,2,200,10", b"229 none\r\n", b"229 (|||0|)\r\n"],
)
def test_an_answer_that_begins_and_does_not_end_is_dropped(answer):
    session = Session()
    with pytest.raises(Drop):
        session.server(answer)
    assert session.expected == []


@pytest.mark.parametrize("address", ["2001:db8:1:2", "2001:db8:1::2%eth0", "1::2::3", "g::1", "::ffff:1.2.3.256"])
def test_what_is_no_ipv6_address_is_dropped(address):
    with pytest.raises(Drop):
        Session(family=6).client(f"EPRT |2|{address}|6275|\r\n".encode())


def test_numbers_too_large_run_into_each_other():
    """266 counts as 10; 195,347 is 0xC300 | 0x15B."""
    session = Session()
    session.client(b"PORT 266,0,1,2,195,347\r\n")
    session.client(b"PORT 10,4294967296,1,2,0,4294967297\r\n")
    session.client(b"EPRT |1|10.0.1.2|70000|\r\n")
    assert session.ports == [50011, 1, 4464]


def test_a_segment_that_begins_within_a_line_is_not_read():
    session = Session()
    session.client(b"STOR ")
    session.client(b"PORT 10,0,1,2,195,80\r\n")
    assert session.expected == []
    session.client(b"PORT 10,0,1,2,195,81\r\n")
    assert session.ports == [50001]


def test_the_first_segment_is_not_read_because_nobody_knows_where_lines_begin():
    fresh = connection(Ftp)
    helper = Ftp()
    helper.packet(fresh.packet(b"PORT 10,0,1,2,195,80\r\n", seq=1000))
    assert fresh.table == []


def test_only_the_first_command_of_a_segment_is_read():
    session = Session()
    session.client(b"NOOP\r\nPORT 10,0,1,2,195,80\r\n")
    assert session.expected == []


def test_a_dropped_segment_is_read_again_when_it_comes_whole():
    session = Session()
    start = session.seq[REPLY]
    with pytest.raises(Drop):
        session.server(b"227 Entering Passive Mode (10,0,2,2,")
    session.send(REPLY, b"227 Entering Passive Mode (10,0,2,2,200,10).\r\n", seq=start)
    assert session.ports == [51210]


def test_a_segment_behind_a_dropped_one_is_not_read():
    session = Session()
    with pytest.raises(Drop):
        session.client(b"PORT 10,0,1,2,195\r\n")
    session.client(b"PORT 10,0,1,2,195,80\r\n")
    assert session.expected == []


@pytest.mark.parametrize(("back", "ports"), [(0, [258]), (1, [258]), (2, [])])
def test_two_starts_of_lines_are_remembered(back, ports):
    session = Session()
    starts = []
    for _ in range(3):
        session.client(b"NOOP\r\n")
        starts.append(session.seq[ORIGINAL])
    session.send(ORIGINAL, b"PORT 10,0,1,2,1,2\r\n", seq=starts[-1 - back])
    assert session.ports == ports


def test_starts_of_lines_are_ordered_across_the_wrap_of_sequence_numbers():
    wrapping = connection(Ftp)
    helper = Ftp()
    for seq in (0xFFFF_FFF0, 0xFFFF_FFFA, 4):
        helper.packet(wrapping.packet(b"NOOP....\r\n", seq=seq))
    helper.packet(wrapping.packet(b"PORT 10,0,1,2,1,1\r\n", seq=0xFFFF_FFFA))
    assert wrapping.table == []
    helper.packet(wrapping.packet(b"PORT 10,0,1,2,1,2\r\n", seq=14))
    assert [entry.wanted.dport for entry in wrapping.table] == [258]


def test_another_host_s_address_is_not_expected():
    session = Session()
    session.client(b"PORT 10,0,1,9,195,80\r\n")
    session.server(b"227 (10,0,2,9,200,10)\r\n")
    assert session.expected == []


def test_loose_takes_another_host_s_address():
    session = Session(loose=1)
    session.server(b"227 (10,0,2,9,200,10)\r\n")
    assert [str(wanted.dst) for wanted in session.expected] == ["10.0.2.9"]


def test_ipv4_numbers_within_ipv6_replace_the_first_four_bytes():
    """The kernel writes them into the sender's address: 32.1.13.184 is 2001:db8."""
    session = Session(family=6)
    session.client(b"PORT 10,0,1,2,195,80\r\n")
    assert session.expected == []
    session.client(b"PORT 32,1,13,184,195,80\r\n")
    assert [str(wanted.dst) for wanted in session.expected] == ["2001:db8:1::2"]


def test_nothing_is_read_before_both_sides_have_spoken():
    fresh = connection(Ftp)
    helper = Ftp()
    helper.packet(fresh.packet(b"NOOP\r\n", seq=1, state="new"))
    helper.packet(fresh.packet(b"PORT 10,0,1,2,195,80\r\n", seq=7))
    assert fresh.table == []


def test_a_refused_expectation_drops_but_the_line_was_read():
    session = Session()
    session.connection.refuse = ["busy"]
    with pytest.raises(Refused):
        session.client(b"PORT 10,0,1,2,195,80\r\n")
    session.client(b"PORT 10,0,1,2,195,81\r\n")
    assert session.ports == [50001]


@pytest.mark.parametrize(
    ("family", "command", "written"),
    [
        (4, b"PORT 10,0,1,2,195,80\r\n", b"PORT 10,0,2,1,195,80\r\n"),
        (4, b"EPRT !1!10.0.1.2!50000!\r\n", b"EPRT |1|10.0.2.1|50000|\r\n"),
        (6, b"EPRT |2|2001:db8:1::2|50000|\r\n", b"EPRT |2|2001:0db8:0002:0000:0000:0000:0000:0001|50000|\r\n"),
    ],
)
def test_a_translated_client_is_announced_as_the_world_sees_it(family, command, written):
    session = Session(family=family, natted=True)
    assert session.client(command) == written
    (wanted,) = session.expected
    assert wanted.dst == session.connection.reply.dst
    assert wanted.nat == Nat(REPLY, 50000)


def test_a_translated_server_is_announced_as_its_clients_see_it():
    session = Session()
    session.connection.reply = session.connection.reply._replace(src=ip_address("192.168.0.5"))
    written = session.server(b"227 Entering Passive Mode (192,168,0,5,200,10).\r\n")
    assert written == b"227 Entering Passive Mode (10,0,2,2,200,10).\r\n"
    (wanted,) = session.expected
    assert (str(wanted.src), str(wanted.dst)) == ("10.0.1.2", "10.0.2.2")
    assert wanted.nat == Nat(ORIGINAL, 51210)
    assert session.server(b"229 Extended (!!!6446!)\r\n") == b"229 Extended (|||6446|)\r\n"


def test_a_port_in_use_is_replaced_by_the_next():
    session = Session(natted=True)
    session.connection.refuse = ["busy", "busy"]
    assert session.client(b"PORT 10,0,1,2,195,80\r\n") == b"PORT 10,0,2,1,195,82\r\n"
    assert [wanted.nat for wanted in session.expected] == [Nat(REPLY, 50000)]


def test_lines_are_followed_in_the_sender_s_numbers_although_translation_shortens_them():
    session = Session(natted=True)
    session.client(b"EPRT |1|10.00000.1.2|50000|\r\n")
    session.client(b"PORT 10,0,1,2,195,81\r\n")
    assert session.ports == [50000, 50001]


@given(
    conversations(
        b"PORT ", b"EPRT ", b"227 ", b"229 ", b"10,0,1,2,", b"10,0,2,2,", b"1,2", b"|1|10.0.1.2|", b"|2|2001:db8:1::2|",
        b"(|||", b"|", b")", b"\r\n", b"\n", b",",
    ),
    st.sampled_from([4, 6]),
    st.booleans(),
)  # fmt: skip
def test_noise_does_no_harm(steps, family, natted):
    hold(Ftp, steps, family=family, natted=natted)


@pytest.mark.parametrize(
    "text",
    [b"9" * 65000, b"1," * 32000, b"," * 65000, b"|1|" + b"9" * 65000, b"|1|" + b"1." * 32000, b"|2|" + b":" * 65000],
    ids=lambda text: repr(text[:6]),
)
@pytest.mark.parametrize("command", [b"PORT ", b"EPRT ", b"227 ", b"229 ("])
def test_the_longest_packets_are_read_in_one_pass(command, text):
    """Anything quadratic would take minutes."""
    for direction in (ORIGINAL, REPLY):
        hold(Ftp, [(direction, b"\n"), (direction, command + text)], family=6 if text.startswith(b"|2") else 4)
