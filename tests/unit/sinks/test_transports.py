from __future__ import annotations

import socket
import ssl
import struct

import pytest

from collectors import TcpCollector
from conntap import _core
from conntap.errors import UsageError
from conntap.sinks import transports
from conntap.sinks.base import SinkUnavailableError
from conntap.sinks.transports import Datagrams, Stream, tls_context
from receivers import LocalReceiver, StreamReceiver, wait_until
from records import every_kind, numbers

BATCH = every_kind()[0]


def formatter(framing="octets"):
    return _core.LineFormatter("rfc5424", framing=framing)


MESSAGES = [formatter().format(BATCH)]


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    collector = TcpCollector(context)
    yield collector
    collector.close()


def over_tls(collector, **options):
    return Stream("log", collector.host, collector.port, tls=tls_context(**options))


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
            stream._listen(stream._socket, 0)
        except ConnectionResetError:
            return True
        return False

    assert wait_until(is_heard)
    with pytest.raises(SinkUnavailableError, match="closed the connection"):
        stream.send(MESSAGES)


def test_what_a_daemon_says_does_not_hide_its_end(server, stream):
    accepted, _ = server.accept()
    accepted.sendall(b"welcome\n" * 1000)
    accepted.close()
    with pytest.raises(SinkUnavailableError, match="closed the connection"):
        until_it_fails(stream)


def test_a_reset_after_sending_is_no_receipt(server, stream):
    accepted, _ = server.accept()
    stream.send(MESSAGES)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()
    with pytest.raises(SinkUnavailableError):
        stream.flush()


def test_a_flush_waits_until_all_is_confirmed():
    receiver = StreamReceiver()
    stream = Stream("log", "127.0.0.1", receiver.port)
    stream.open()
    for batch in every_kind():
        assert stream.send([formatter().format(batch)]) == 0
    stream.flush()
    assert transports._unconfirmed(stream._socket) == 0
    assert receiver.numbers(len(numbers(every_kind()))) == numbers(every_kind())
    stream.close()
    receiver.go()


def test_a_collector_whose_signer_is_known(tls, certificate, wait_for):
    stream = over_tls(tls, ca=str(certificate))
    stream.open()
    for _ in range(20):
        stream.send([b"x" * 10_000])
    stream.flush()
    stream.close()
    wait_for(lambda: tls.ended, "the end of the session")
    assert bytes(tls.sessions[0]) == b"x" * 200_000
    assert tls.failed == []


def test_a_certificate_that_nobody_vouches_for(tls):
    stream = over_tls(tls)
    with pytest.raises(SinkUnavailableError, match="certificate: self-signed certificate") as caught:
        stream.open()
    assert "ca=" in caught.value.hint
    stream.close()


def test_unless_nobody_asks(tls):
    stream = over_tls(tls, verify=False)
    stream.open()
    stream.send([b"hello"])
    stream.flush()
    stream.close()


def test_a_name_that_is_not_the_receivers(tls, certificate):
    stream = Stream("log", "localhost", tls.port, tls=tls_context(ca=str(certificate)))
    with pytest.raises(SinkUnavailableError):
        stream.open()


def test_we_show_who_we_are(certificate, wait_for):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    collector = TcpCollector(context)
    stream = over_tls(collector, ca=str(certificate), cert=str(certificate))
    stream.open()
    stream.send([b"it is us"])
    stream.close()
    wait_for(lambda: collector.ended, "the end of the session")
    assert [bytes(session) for session in collector.sessions] == [b"it is us"]
    collector.close()


def test_a_file_that_is_no_certificate(tmp_path):
    (tmp_path / "not.pem").write_text("hello\n")
    with pytest.raises(UsageError, match=r"not\.pem"):
        tls_context(cert=str(tmp_path / "not.pem"))


@pytest.mark.parametrize("way", [Datagrams("log", host="nowhere.invalid"), Stream("log", "nowhere.invalid", 1)])
def test_a_host_that_has_no_address(way):
    with pytest.raises(SinkUnavailableError, match="log: "):
        way.open()


def test_nobody_listens(server):
    port = server.getsockname()[1]
    server.close()
    with pytest.raises(SinkUnavailableError, match="nobody listens"):
        Stream("log", "127.0.0.1", port).open()


def test_udp_tells_of_nobody_only_afterwards(server):
    way = Datagrams("log", host="127.0.0.1", port=server.getsockname()[1])  # TCP listens there, UDP does not
    way.open()
    way.send(formatter("none").datagrams(BATCH))
    with pytest.raises(SinkUnavailableError, match="nobody listens"):
        way.flush()
    way.close()


def test_a_datagram_that_the_socket_cannot_take_is_counted(tmp_path):
    receiver = LocalReceiver(tmp_path / "log")
    way = Datagrams("log", path=str(receiver.path))
    way.open()
    assert way._socket is not None
    way._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel makes it its smallest

    long = bytes(1 << 17)  # longer than any buffer
    assert way.send([long, long]) == 2
    way.close()
    receiver.go()


@pytest.mark.parametrize("way", [Datagrams("log", path="/no"), Stream("log", "127.0.0.1", 1)])
def test_nothing_goes_before_it_is_open(way):
    with pytest.raises(SinkUnavailableError, match="not connected"):
        way.send(MESSAGES)
    with pytest.raises(SinkUnavailableError, match="not connected"):
        way.flush()
    way.close()
