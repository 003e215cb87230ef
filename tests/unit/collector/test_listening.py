"""Sockets to listen with, and why there is none."""

from __future__ import annotations

import socket

import pytest

from conntap.collector.listening import bind
from conntap.collector.place import parse_place
from conntap.errors import KernelError, UsageError


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_socket_is_bound_and_does_not_block(host, kind):
    with bind(parse_place(f"ipfix://{host}:0"), kind) as made:
        assert made.getsockname()[1] > 0
        assert not made.getblocking()


def test_a_taken_address_is_told_with_its_place():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        place = f"ipfix://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(KernelError, match=f"listening at {place}: Address already in use") as caught:
            bind(parse_place(place), socket.SOCK_DGRAM)
        assert "ss -lntup" in caught.value.hint


def test_an_unknown_name_is_told():
    with pytest.raises(UsageError, match=r"nobody\.invalid"):
        bind(parse_place("ipfix://nobody.invalid"), socket.SOCK_DGRAM)
