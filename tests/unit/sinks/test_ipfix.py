"""The IPFIX sink: sessions, templates in time, statistics, and a collector that is away."""

from __future__ import annotations

import socket
from itertools import pairwise

import pytest

from collectors import UdpCollector
from conntap import _core
from conntap.errors import UsageError
from conntap.sinks.base import SinkUnavailableError
from conntap.sinks.ipfix import Due, IpfixSink
from flow_messages import ALL, SECOND, SNAT, TUNNEL, ended, many
from ipfix_reader import read

#: A message of the flows' domain that begins with a template set: domain, set number.
FLOW_TEMPLATES = bytes([0, 0, 0, 1, 0, 2])


def sink_to(collector, **options):
    return IpfixSink("ipfix://collector", host=collector.host, port=collector.port, **options)


def stream(session):
    """The messages of a TCP session."""
    rest, found = bytes(session), []
    while rest:
        length = int.from_bytes(rest[2:4], "big")
        found.append(rest[:length])
        rest = rest[length:]
    return found


@pytest.fixture
def sending(udp):
    """A sink that is open, and its collector."""
    sink = sink_to(udp)
    assert sink.open() == 0
    yield sink, udp
    sink.close()


class TestUdp:
    def test_templates_go_first_and_alone(self, sending):
        _, collector = sending
        reader = read(collector.messages())
        assert {number for domain, number in reader.templates if domain == 1} == {256, 257, 258, 259, 260, 261, 2560}
        assert reader.flows() == []

    def test_every_record_arrives(self, sending):
        sink, collector = sending
        sink.write(ended(*ALL, bindings="nat"))
        sink.write(many(100))
        sink.flush()
        reader = read(collector.messages())
        assert reader.faults == []
        assert len(reader.flows()) == len(ALL) + 100
        assert sink.counters["records"] == len(ALL) + 5 + 100
        assert (sink.counters["flows"], sink.counters["nat_events"]) == (len(ALL) + 100, 110)

    def test_templates_go_out_three_times_at_first_and_then_each_minute(self, sending):
        sink, collector = sending
        now = _core.now_ns()
        sent = []
        for second in range(200):
            collector.messages()
            sink.tick(now + second * SECOND)
            if any(message[12:18] == FLOW_TEMPLATES for message in collector.messages()):
                sent.append(second)
        assert len(sent) == 5  # the first of them was the opening's: not counted here
        assert sent[0] in {1, 2}
        assert sent[1] - sent[0] == 2
        assert [later - earlier for earlier, later in pairwise(sent[1:])] == [60, 60, 60]

    def test_a_form_that_is_seen_late_is_announced_before_its_record(self, sending):
        from dataclasses import replace

        sink, collector = sending
        sink.write(ended(replace(TUNNEL, counters=None)))
        reader = read(collector.messages())
        assert len(reader.flows()) == 1
        assert reader.faults == []

    def test_statistics_each_minute_and_at_the_end(self, udp):
        sink = sink_to(udp)
        sink.open()
        sink.write(many(10))
        sink.not_sent = 4
        sink.tick(_core.now_ns() + 61 * SECOND)
        sink.close()
        told = [record for record in read(udp.messages()).options if 149 in record.values]
        assert [(record[149], record[42], record[166]) for record in told] == [(1, 10, 4), (2, 10, 0)] * 2

    def test_nobody_listens(self, udp, wait_for):
        sink = sink_to(udp)
        udp.socket.close()

        def refused():
            try:
                sink.open()
                sink.write(many(1))
                sink.flush()
            except SinkUnavailableError as error:
                return "nobody listens" in str(error)
            return False

        wait_for(refused, "a refusal")
        assert sink.counters["flows"] == 0
        with pytest.raises(SinkUnavailableError, match="not connected"):
            sink.write(many(1))
        sink.close()

    def test_messages_too_long_for_the_path_say_what_to_do(self, udp, monkeypatch):
        sink = sink_to(udp)
        sink.open()
        monkeypatch.setattr(sink._transport, "send", lambda messages: len(messages))  # the loopback takes all
        with pytest.raises(SinkUnavailableError, match="longer than the path takes") as caught:
            sink.write(many(1))
        assert "mtu=" in caught.value.hint
        sink.close()

    def test_a_collector_that_comes_back_gets_a_session_of_its_own(self, udp):
        sink = sink_to(udp)
        sink.open()
        sink.write(many(3))
        port = udp.port
        udp.socket.close()
        with pytest.raises(SinkUnavailableError):
            sink.write(many(5))  # on loopback a datagram is refused at once
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", port))
            sink.open()
            sink.write(many(5))
            sink.flush()
            udp.socket = again
            reader = read(udp.messages())
        assert reader.faults == []
        assert len(reader.flows()) == 5
        assert sink.counters["sessions"] == 2
        sink.close()

    def test_ipv6(self):
        try:
            collector = UdpCollector("::1")
        except OSError:
            pytest.skip("the kernel has no IPv6 on loopback")
        sink = sink_to(collector)
        sink.open()
        sink.write(many(1))
        sink.close()
        assert len(read(collector.messages()).flows()) == 1
        collector.socket.close()

    def test_netflow_9(self, udp):
        sink = sink_to(udp, version=9)
        sink.open()
        sink.write(ended(*ALL))
        sink.close()
        messages = udp.messages()
        assert {message[:2] for message in messages} == {b"\0\x09"}
        assert len(read(messages).flows()) == len(ALL)


class TestTcp:
    def test_all_arrives_in_order(self, tcp):
        sink = sink_to(tcp, transport="tcp")
        sink.open()
        for _ in range(5):
            sink.write(many(400))
        sink.flush()
        sink.close()
        tcp.close()
        reader = read(stream(tcp.sessions[0]))
        assert reader.faults == []
        assert len(reader.flows()) == 2000

    def test_a_connection_that_ends_is_a_failure_and_the_next_session_begins_anew(self, wait_for):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            sink = IpfixSink("ipfix:", host="127.0.0.1", port=listener.getsockname()[1], transport="tcp")
            sink.open()
            first, _ = listener.accept()
            sink.write(many(1))
            first.close()  # with octets unread: a reset

            def fails():
                try:
                    sink.write(many(1))
                    sink.flush()
                except SinkUnavailableError:
                    return True
                return False

            wait_for(fails, "the end of the connection is noticed")
            sink.open()
            second, _ = listener.accept()
            sink.write(many(2))
            sink.close()
            with second:
                data = bytearray()
                while more := second.recv(65_536):
                    data += more
        reader = read(stream(data))
        assert reader.faults == []
        assert len(reader.flows()) == 2

    def test_flush_waits_for_the_other_side(self):
        """A collector that does not read acknowledges no more than its window."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            where = listener.getsockname()[1]
            sink = IpfixSink("ipfix:", host="127.0.0.1", port=where, transport="tcp", timeout=0.2)
            sink.open()
            taken, _ = listener.accept()
            records = many(2000)

            def sent():
                sink.write(records)
                sink.flush()

            with taken, pytest.raises(SinkUnavailableError, match=r"does not confirm|timed out"):
                sent()
            sink.close()

    def test_nobody_listens(self, tcp):
        tcp.close()
        sink = sink_to(tcp, transport="tcp")
        with pytest.raises(SinkUnavailableError, match="nobody listens"):
            sink.open()
        sink.close()


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            {"transport": "sctp"},
            {"version": 9, "transport": "tcp"},
            {"ca": "ca.pem"},
            {"transport": "tls", "ca": "/nonexistent/ca.pem"},
            {"mtu": 100},
        ],
    )
    def test_what_cannot_be_is_refused(self, options):
        with pytest.raises(UsageError):
            IpfixSink("ipfix:", host="127.0.0.1", **options)


class TestDue:
    def test_a_clock_that_is_set_back_delays_nothing(self):
        due = Due(60, 1000 * SECOND)
        assert not due(1059 * SECOND)
        assert due(1060 * SECOND)
        assert due(500 * SECOND)
        assert not due(559 * SECOND)
        assert due(560 * SECOND)


def test_closing_twice_is_allowed(udp):
    sink = sink_to(udp)
    sink.open()
    sink.write(ended(SNAT))
    sink.close()
    sink.close()
