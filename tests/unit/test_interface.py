"""An interface's packets become events while they pass: on the loopback of a namespace of its own."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

import conntap
from conntap.errors import ClosedError, FilterError, NotFoundError, UsageError
from conntap.helpers.assign import assign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap import Event, Interface
    from conntap.lab import Host

pytestmark = pytest.mark.lab


@pytest.fixture
def host() -> Iterator[Host]:
    from conntap.lab import Host

    host = Host("test", first=None)
    host.run(["ip", "link", "set", "lo", "up"])
    yield host
    host.close()


def talk(sport: int, dport: int = 53) -> None:
    """A question and its answer on this namespace's loopback."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
    ):
        client.bind(("127.0.0.1", sport))
        server.bind(("127.0.0.1", dport))
        client.sendto(b"question", server.getsockname())
        server.recv(100)
        server.sendto(b"answer", client.getsockname())
        client.recv(100)


def take(packets: Interface, number: int, where: str = "") -> list[Event]:
    """The next events, so many; a failed test where they do not come."""
    found: list[Event] = []
    deadline = time.monotonic() + 10
    while len(found) < number:
        assert time.monotonic() < deadline, f"only {found} came"
        batch = packets.receive(0.1, where)
        found += batch.events() if batch else []
    return found


def open_packet_sockets(host: Host) -> int:
    with open(f"/proc/{host.pid}/net/packet", encoding="ascii") as table:
        return len(table.readlines()) - 1


@pytest.mark.parametrize("name", ["lo", "any"])
def test_a_conversation_becomes_events(host, name):
    with conntap.Interface(name, netns=host.pid) as packets:
        host.call(talk, 5000)
        events = take(packets, 2)
        assert [event.kind for event in events] == ["NEW", "UPDATE"]
        assert (events[0].flow.original.sport, events[0].flow.original.dport) == (5000, 53)
        assert packets.counters["packets"] == packets.counters["frames"] == 2
        assert abs(events[0].received_ns - time.time_ns()) < 20_000_000_000


def test_the_table_can_be_looked_at_meanwhile(host):
    with conntap.Interface("lo", netns=host.pid) as packets:
        host.call(talk, 5000)
        take(packets, 2)
        [flow] = packets.tracker.flows().flows()
        assert (flow.original_counters.packets, flow.reply_counters.packets) == (1, 1)


def test_a_filter_counts_what_it_left_out(host):
    with conntap.Interface("lo", netns=host.pid) as packets:
        for sport in (5000, 5001, 5002):
            host.call(talk, sport)
        found = take(packets, 2, "sport 5001")
        deadline = time.monotonic() + 10
        while packets.counters["frames"] < 6 and time.monotonic() < deadline:
            batch = packets.receive(0.1, "sport 5001")
            found += batch.events() if batch else []
        assert [event.flow.original.sport for event in found] == [5001, 5001]
        assert (packets.counters["rows"], packets.counters["filtered_here"]) == (2, 4)


def test_it_is_walked_through_like_any_source(host):
    with conntap.Interface("lo", netns=host.pid) as packets:
        host.call(talk, 5000)
        found = []
        for event in packets:
            found.append(event.kind)
            if len(found) == 2:
                break
        assert found == ["NEW", "UPDATE"]


def test_connections_end_although_no_packet_comes(host):
    """The clock goes on by itself, a second behind so that no packet comes late."""
    with conntap.Interface("lo", conntap.Setup(settings={"udp_timeout": 1}), netns=host.pid) as packets:
        host.call(talk, 5000)
        assert take(packets, 3)[-1].kind == "DESTROY"
        assert len(packets.tracker.flows()) == 0


def test_helpers_and_settings_are_heeded(host):
    setup = conntap.Setup(helpers=assign("tftp=udp/6969"), settings={"udp_timeout": 77})
    with conntap.Interface("lo", setup, netns=host.pid) as packets:
        host.call(talk, 5000, 6969)
        events = take(packets, 2)
        assert events[0].flow.helper == "tftp"
        assert events[0].flow.timeout == 77


def test_closing_ends_it_and_leaves_nothing_behind(host):
    before = open_packet_sockets(host), len(os.listdir("/proc/self/fd"))
    packets = conntap.Interface("lo", netns=host.pid)
    host.call(talk, 5000)
    take(packets, 2)
    assert open_packet_sockets(host) == before[0] + 1
    packets.close()
    packets.close()
    assert (open_packet_sockets(host), len(os.listdir("/proc/self/fd"))) == before
    assert packets.counters["frames"] == 2
    assert list(packets.batches()) == []
    with pytest.raises(ClosedError):
        packets.receive(0)


def test_an_interface_that_goes_down_is_waited_for(host):
    with conntap.Interface("lo", netns=host.pid) as packets:
        host.run(["ip", "link", "set", "lo", "down"])
        assert packets.receive(0.1) is None
        assert packets.downs == 1
        host.run(["ip", "link", "set", "lo", "up"])
        host.call(talk, 5000)
        assert len(take(packets, 2)) == 2


def test_without_packets_the_time_is_over_some_time(host):
    with conntap.Interface("lo", netns=host.pid) as packets:
        began = time.monotonic()
        assert packets.receive(0.05) is None
        assert 0.04 < time.monotonic() - began < 5
        assert packets.receive(0) is None


@pytest.mark.parametrize(
    ("name", "options", "kind", "what"),
    [
        ("nosuch", {}, NotFoundError, "capturing on nosuch: No such device"),
        ("any", {"promiscuous": True}, UsageError, "only one interface"),
        ("lo", {"setup": conntap.Setup(settings={"x": 1})}, UsageError, "no setting 'x'"),
        ("lo", {"netns": "nosuch"}, NotFoundError, "network namespace 'nosuch'"),
    ],
)
def test_what_cannot_be_is_told_at_once(host, name, options, kind, what):
    with pytest.raises(kind, match=what):
        conntap.Interface(name, **{"netns": host.pid, **options})
    assert open_packet_sockets(host) == 0


def test_a_wrong_filter_is_told(host):
    with conntap.Interface("lo", netns=host.pid) as packets, pytest.raises(FilterError):
        packets.receive(0, "tcp and and")
