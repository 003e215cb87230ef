"""Answers about sockets' buffers, from bytes as the kernel writes them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.doctor.diag import buffers, parse


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


def socket_row(inode: int, size: int) -> bytes:
    memory = struct.pack("=9I", 100, size, *range(7))
    head = struct.pack("=BBBBIIIIII", 16, 3, 12, 1, 4242, 0, 0, inode, 0, 0)
    return message(20, head + struct.pack("=HH", 4 + len(memory), 0) + memory)


def test_each_socket_with_its_buffer() -> None:
    assert parse(socket_row(7, 212_992) + socket_row(8, 4_096)) == (True, {7: 212_992, 8: 4_096})
    assert parse(message(3, bytes(4))) == (False, {})


def test_an_error_is_raised() -> None:
    with pytest.raises(OSError, match="buffers") as caught:
        parse(message(2, struct.pack("=i", -errno.ENOENT) + bytes(16)))
    assert caught.value.errno == errno.ENOENT


@given(st.binary(max_size=200))
def test_rubbish_gives_nothing_and_never_fails_otherwise(data: bytes) -> None:
    with contextlib.suppress(OSError):  # an error of the kernel's, by chance
        parse(data)


def test_our_own_socket_is_among_them() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as handle:
        handle.bind((0, 0))
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        size = handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        try:
            found = buffers()
        except FileNotFoundError:
            pytest.skip("the kernel has no netlink_diag")
        assert found[os.fstat(handle.fileno()).st_ino] == size
