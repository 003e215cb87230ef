"""Messages of nfnetlink_log, from bytes. The subscription itself: tests/lab/doctor."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from conntap.doctor.nflog import PacketLog, parse


def attribute(kind: int, payload: bytes) -> bytes:
    return (struct.pack("=HH", 4 + len(payload), kind) + payload).ljust((7 + len(payload)) & ~3, b"\0")


def message(*attributes: bytes, kind: int = 0x400) -> bytes:
    body = struct.pack(">BBH", 2, 0, 0) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_a_line_with_its_packet_and_interfaces() -> None:
    data = message(
        attribute(1, b"\x08\0\0\0"), attribute(10, b"nf_ct_proto_6: invalid new \0"), attribute(4, b"\0\0\0\x02"),
        attribute(5, b"\0\0\0\x03"), attribute(12, b"\0\0\0\x07"), attribute(9, b"E\0\0\x14"),
    )  # fmt: skip
    [line], malformed = parse(data)
    assert malformed == 0
    assert (line.prefix, line.packet) == ("nf_ct_proto_6: invalid new", b"E\0\0\x14")
    assert (line.came_by, line.went_by, line.number) == (2, 3, 7)


def test_several_in_one_datagram_and_other_messages_between() -> None:
    line = message(attribute(10, b"x\0"))
    lines, malformed = parse(line + message(kind=2) + line)
    assert (len(lines), malformed) == (2, 0)


def test_a_line_without_words_and_packet_and_a_cut_one_are_counted() -> None:
    assert parse(message(attribute(1, b"\x08\0\0\0"))) == ([], 1)
    whole = message(attribute(10, b"hello\0"))
    assert parse(whole[:-4]) == ([], 1)


def test_holes_in_the_numbers_are_losses() -> None:
    """Also where the numbers begin anew, and in any datagram."""
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernels:
        log = PacketLog.__new__(PacketLog)
        log.lost, log.malformed, log._next, log._socket = 0, 0, None, ours
        for numbers in ((0xFFFF_FFFD,), (0xFFFF_FFFE, 0xFFFF_FFFF), (3,), (4, 6)):
            kernels.send(b"".join(message(attribute(10, b"x\0"), attribute(12, struct.pack(">I", n))) for n in numbers))
            assert len(log.receive(1)) == len(numbers)
        assert log.lost == 3 + 1
        assert log.receive(0) == []


@given(st.binary(max_size=300))
def test_rubbish_never_raises(data: bytes) -> None:
    parse(data)
    parse(message(data))
