"""Who listens: /proc/net/netlink, owners by their descriptors, what each lost."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from conntap.doctor.listeners import listening, look, owners
from conntap.doctor.reading import Reading
from conntap.gateway.parse import listeners

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"


def row(port: int, groups: int, *, waiting: int = 0, drops: int = 0, inode: int = 77, protocol: int = 12) -> str:
    return f"000000002b4a57b9 {protocol:<3} {port:<10} {groups:08x} {waiting:<8} 0 0 2 {drops:<8} {inode}\n"


def test_only_sockets_with_groups_of_conntrack_listen() -> None:
    table = HEAD + row(0, 0) + row(812, 0b111, drops=5) + row(9, 0x40) + row(10, 1, protocol=0) + "rubbish\n"
    [found] = listeners(table)
    assert (found.port, found.groups, found.drops, found.inode) == (812, 7, 5, 77)
    assert listeners("") == ()


def test_who_hears_of_expectations_alone_does_not_hear_of_connections() -> None:
    assert listening(Reading(netlink=HEAD + row(1, 0b1)))
    assert not listening(Reading(netlink=HEAD + row(1, 0b1000)))


def test_nobody_listens() -> None:
    [entry] = look(Reading(netlink=HEAD))
    assert (entry.value, entry.level) == ("none", "fine")
    assert list(look(Reading(netlink=""))) == []  # it could not be read: nothing is said


def test_a_listener_that_lost_is_to_do() -> None:
    seen = Reading(netlink=HEAD + row(4_000_000_000, 7, waiting=130_000, drops=41_022), buffers={77: 212_992})
    [entry] = look(seen)
    assert (entry.level, entry.value) == ("todo", "41,022 lost")
    assert "room for about 163 events, 61% full" in entry.why
    assert "owner not found" in entry.why
    assert "SO_RCVBUFFORCE" in entry.todo


def test_a_buffer_that_fills_is_worth_knowing() -> None:
    [entry] = look(Reading(netlink=HEAD + row(1, 7, waiting=150_000), buffers={77: 212_992}))
    assert entry.level == "note"
    assert "more slowly" in entry.why


def test_the_owner_is_found_by_its_descriptor(tmp_path: Path) -> None:
    for pid, name, inode in ((10, "sleep", 1), (4242, "ulogd", 77)):
        (tmp_path / f"{pid}/fd").mkdir(parents=True)
        (tmp_path / f"{pid}/comm").write_text(f"{name}\n")
        (tmp_path / f"{pid}/fd/3").symlink_to(f"socket:[{inode}]")
    (tmp_path / "self").mkdir()
    assert owners(frozenset({77}), (5,), proc=str(tmp_path)) == {77: (4242, "ulogd")}
    assert owners(frozenset({78}), proc=str(tmp_path)) == {}


def test_our_own_socket_is_ours() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        inode = os.fstat(handle.fileno()).st_ino
        assert owners(frozenset({inode}), (os.getpid(),))[inode][0] == os.getpid()
