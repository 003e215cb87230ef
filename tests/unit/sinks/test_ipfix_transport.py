"""TLS: who is believed, and that all arrives."""

from __future__ import annotations

import ssl

import pytest

from collectors import TcpCollector
from conntap.errors import UsageError
from conntap.sinks.base import SinkUnavailableError
from conntap.sinks.ipfix_transport import Connection, Datagrams, tls_context


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    collector = TcpCollector(context)
    yield collector
    collector.close()


def test_a_collector_whose_signer_is_known(tls, certificate, wait_for):
    connection = Connection(tls.host, tls.port, tls=tls_context(ca=str(certificate)))
    connection.open()
    for _ in range(20):
        connection.send([b"x" * 10_000])
    connection.settle()
    connection.close()
    wait_for(lambda: tls.ended, "the end of the session")
    assert bytes(tls.sessions[0]) == b"x" * 200_000
    assert tls.failed == []


def test_a_stranger_is_refused(tls):
    connection = Connection(tls.host, tls.port, tls=tls_context())
    with pytest.raises(SinkUnavailableError, match="self-signed certificate") as caught:
        connection.open()
    assert "ca=" in caught.value.hint
    connection.close()


def test_unless_nobody_asks(tls):
    connection = Connection(tls.host, tls.port, tls=tls_context(verify=False))
    connection.open()
    connection.send([b"hello"])
    connection.settle()
    connection.close()


def test_a_name_that_is_not_the_collectors(tls, certificate):
    connection = Connection("localhost", tls.port, tls=tls_context(ca=str(certificate)))
    with pytest.raises(SinkUnavailableError):
        connection.open()


def test_we_show_who_we_are(certificate, wait_for):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    collector = TcpCollector(context)
    connection = Connection(collector.host, collector.port, tls=tls_context(ca=str(certificate), cert=str(certificate)))
    connection.open()
    connection.send([b"it is us"])
    connection.close()
    wait_for(lambda: collector.ended, "the end of the session")
    assert [bytes(session) for session in collector.sessions] == [b"it is us"]
    collector.close()


def test_a_file_that_is_no_certificate(tmp_path):
    (tmp_path / "not.pem").write_text("hello\n")
    with pytest.raises(UsageError, match=r"not\.pem"):
        tls_context(cert=str(tmp_path / "not.pem"))


def test_what_is_not_open_takes_nothing():
    for transport in (Datagrams("127.0.0.1", 1), Connection("127.0.0.1", 1)):
        with pytest.raises(SinkUnavailableError, match="not open"):
            transport.send([b"x"])
        transport.close()


def test_a_host_that_has_no_address():
    for transport in (Datagrams("nowhere.invalid", 1), Connection("nowhere.invalid", 1)):
        with pytest.raises(SinkUnavailableError, match=r"nowhere\.invalid"):
            transport.open()


def test_a_datagram_too_long_for_the_path_says_what_to_do(udp):
    transport = Datagrams(udp.host, udp.port)
    transport.open()
    with pytest.raises(SinkUnavailableError) as caught:
        transport.send([bytes(70_000)])
    assert "mtu=" in caught.value.hint
