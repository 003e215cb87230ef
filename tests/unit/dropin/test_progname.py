"""The program behind a netlink port id is found in /proc."""

from __future__ import annotations

import os
import socket

from conntap.dropin.progname import ProgramNames

NETLINK_NETFILTER = 12


def test_our_own_socket_is_ours():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as held:
        held.bind((0, 0))
        port = held.getsockname()[0]
        names = ProgramNames()
        with open(f"/proc/{os.getpid()}/comm", encoding="utf-8") as comm:
            name = comm.read().strip()
        assert names.find(port) == name
        assert names.find(port) == name  # from the cache
    assert names.find(port) is None


def test_nobody_has_the_kernels_port():
    assert ProgramNames().find(0) is None
