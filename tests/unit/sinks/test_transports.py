from __future__ import annotations

import socket
import ssl
import struct

import pytest

from conntap import _core
from conntap.errors import ConntapError
from conntap.sinks.base import SinkUnavailableError
from conntap.sinks.transports import Datagrams, Stream
from receivers import LocalReceiver, StreamReceiver, wait_until
from records import every_kind, numbers

BATCH = every_kind()[0]


def formatter(framing="octets"):
    return _core.LineFormatter("rfc5424", framing=framing)


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def stream(server):
    made = Stream("log", "127.0.0.1", server.getsockname()[1])
    made.open()
    yield made
    made.close()


def until_it_fails(stream):
    for _ in range(10_000):
        stream.flush()


def test_a_peer_that_closed_is_heard_before_anything_is_sent(server, stream):
    accepted, _ = server.accept()
    accepted.close()

    def is_heard() -> bool:
        try:
            stream._listen(0)
        except ConnectionResetError:
            return True
        return False

    assert wait_until(is_heard)
    with pytest.raises(SinkUnavailableError, match="closed the connection"):
        stream.send(formatter(), BATCH)


def test_what_a_daemon_says_does_not_hide_its_end(server, stream):
    accepted, _ = server.accept()
    accepted.sendall(b"welcome\n" * 1000)
    accepted.close()
    with pytest.raises(SinkUnavailableError, match="closed the connection"):
        until_it_fails(stream)


def test_a_reset_after_sending_is_no_receipt(server, stream):
    accepted, _ = server.accept()
    stream.send(formatter(), BATCH)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()
    with pytest.raises(SinkUnavailableError):
        stream.flush()


def test_a_flush_waits_until_all_is_confirmed():
    receiver = StreamReceiver()
    stream = Stream("log", "127.0.0.1", receiver.port)
    stream.open()
    for batch in every_kind():
        assert stream.send(formatter(), batch) == 0
    stream.flush()
    assert stream._unconfirmed() == 0
    assert receiver.numbers(len(numbers(every_kind()))) == numbers(every_kind())
    stream.close()
    receiver.go()


def test_a_certificate_that_nobody_vouches_for_ends_it():
    receiver = StreamReceiver(tls=True)
    stream = Stream("log", "127.0.0.1", receiver.port, tls=ssl.create_default_context())
    with pytest.raises(ConntapError, match="certificate: ") as caught:
        stream.open()
    assert "tls_ca=FILE" in caught.value.hint
    receiver.go()


def test_nobody_listens(server):
    port = server.getsockname()[1]
    server.close()
    with pytest.raises(SinkUnavailableError, match="nobody listens"):
        Stream("log", "127.0.0.1", port).open()


def test_udp_tells_of_nobody_only_afterwards(server):
    way = Datagrams("log", host="127.0.0.1", port=server.getsockname()[1])  # TCP listens there, UDP does not
    way.open()
    way.send(formatter("none"), BATCH)
    with pytest.raises(SinkUnavailableError, match="nobody listens"):
        way.flush()
    way.close()


def test_a_datagram_that_the_socket_cannot_take_is_counted(tmp_path):
    receiver = LocalReceiver(tmp_path / "log")
    way = Datagrams("log", path=str(receiver.path))
    way.open()
    assert way._socket is not None
    way._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel makes it its smallest

    class Long:
        """A formatter of messages that are longer than any buffer."""

        def datagrams(self, records):
            return [bytes(1 << 17)] * len(records)

    assert way.send(Long(), BATCH) == len(BATCH)
    way.close()
    receiver.go()


@pytest.mark.parametrize("way", [Datagrams("log", path="/no"), Stream("log", "127.0.0.1", 1)])
def test_nothing_goes_before_it_is_open(way):
    with pytest.raises(SinkUnavailableError, match="not connected"):
        way.send(formatter(), BATCH)
    with pytest.raises(SinkUnavailableError, match="not connected"):
        way.flush()
    way.close()
