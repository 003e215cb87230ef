"""TCP and TLS: many exporters, each a stream that may end anywhere."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress

import pytest

from conntap.collector import Collector, connections
from conntap.errors import UsageError
from exported import flows, tiny


def connect(collector: Collector) -> socket.socket:
    return socket.create_connection(collector.addresses[0], timeout=10)


def ports(batch) -> list[int | None]:
    return [flow.original.sport for flow in flows(batch)]


@pytest.fixture
def tcp():
    with Collector("ipfix://127.0.0.1:0?transport=tcp") as collector:
        yield collector


def test_messages_come_in_pieces_of_any_size(tcp, gather):
    stream = b"".join(tiny(seq, seq + 1, template=seq == 0) for seq in range(40))
    with connect(tcp) as exporter:
        for at in range(0, len(stream), 7):
            exporter.sendall(stream[at : at + 7])
        assert ports(gather(tcp, lambda batch: len(batch) == 40)) == list(range(1, 41))
    gather(tcp, lambda _: not tcp.sockets[0].open)
    assert (tcp.counters["connections"], tcp.counters["connections_cut"]) == (1, 0)
    assert tcp.counters["sessions_held"] == 0


def test_many_exporters_at_once_keep_their_templates_apart(tcp, gather):
    exporters = [connect(tcp) for _ in range(20)]
    for number, exporter in enumerate(exporters):
        exporter.sendall(tiny(0, number + 1))
    for number, exporter in enumerate(exporters):
        exporter.sendall(tiny(1, number + 101, template=False))
        exporter.close()
    batch = gather(tcp, lambda batch: len(batch) == 40)
    assert sorted(ports(batch)) == [*range(1, 21), *range(101, 121)]


def test_an_end_within_a_message_is_a_gap(tcp, gather):
    with connect(tcp) as exporter:
        exporter.sendall(tiny(0, 1) + tiny(1, 2)[:-3])
    batch = gather(tcp, lambda batch: len(batch) == 2)
    assert dict(batch.kinds()) == {"FLOW": 1, "GAP": 1}
    assert next(event.gap.cause for event in batch.events() if event.gap) == "damage"
    assert tcp.counters["connections_cut"] == 1


def test_a_stream_that_is_no_ipfix_is_ended(tcp, gather):
    with connect(tcp) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        gather(tcp, lambda _: tcp.counters["connections_broken"] == 1)
        assert stranger.recv(1) == b""
    assert tcp.counters["malformed_version"] == 1


def test_more_than_so_many_connections_are_refused(tcp, gather, monkeypatch):
    monkeypatch.setattr(connections, "MOST", 2)
    held = [connect(tcp) for _ in range(3)]
    gather(tcp, lambda _: tcp.counters["connections_refused"] == 1)
    held[2].settimeout(10)
    assert held[2].recv(1) == b""
    held[0].sendall(tiny(0, 5))
    assert ports(gather(tcp, len)) == [5]
    for exporter in held:
        exporter.close()


def test_exporters_that_are_not_listed_are_refused(gather):
    with Collector("ipfix://127.0.0.1:0?transport=tcp&from=192.0.2.0/24") as collector, connect(collector) as stranger:
        gather(collector, lambda _: collector.counters["refused_exporter"] == 1)
        assert stranger.recv(1) == b""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that signs itself: (certificate, key)."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the program openssl")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [openssl, *words.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    return cert, key


def send_tls(collector: Collector, data: bytes, context: ssl.SSLContext) -> None:
    """Send in a thread of its own, since a handshake needs both."""

    def send() -> None:
        with (
            suppress(OSError),  # the collector's counters say what went wrong
            connect(collector) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as exporter,
        ):
            exporter.sendall(data)
            exporter.recv(1)  # TLS 1.3 tells a refusal only to who reads; otherwise until we are done

    threading.Thread(target=send, daemon=True).start()


def test_tls_carries_messages_larger_than_its_records(certificate, gather):
    cert, key = certificate
    stream = b"".join(tiny(seq, seq % 60_000 + 1, template=seq == 0) for seq in range(3000))
    with Collector(f"ipfix://127.0.0.1:0?transport=tls&cert={cert}&key={key}") as collector:
        send_tls(collector, stream, ssl.create_default_context(cafile=cert))
        batch = gather(collector, lambda batch: len(batch) == 3000)
        assert ports(batch) == list(range(1, 3001))
        assert collector.counters["tls_failed"] == 0


def test_tls_refuses_exporters_without_the_certificate_that_is_asked_for(certificate, gather):
    cert, key = certificate
    place = f"ipfix://127.0.0.1:0?transport=tls&cert={cert}&key={key}&ca={cert}"
    with Collector(place) as collector:
        send_tls(collector, tiny(0, 1), ssl.create_default_context(cafile=cert))
        gather(collector, lambda _: collector.counters["tls_failed"] == 1)
        known = ssl.create_default_context(cafile=cert)
        known.load_cert_chain(cert, key)
        send_tls(collector, tiny(0, 2), known)
        assert ports(gather(collector, len)) == [2]


def test_who_never_begins_tls_is_let_go(certificate, gather, monkeypatch):
    monkeypatch.setattr(connections, "HANDSHAKE_SECONDS", 0.0)
    cert, key = certificate
    with (
        Collector(f"ipfix://127.0.0.1:0?transport=tls&cert={cert}&key={key}") as collector,
        connect(collector) as silent,
    ):
        gather(collector, lambda _: collector.counters["tls_failed"] == 1)
        assert silent.recv(1) == b""


def test_a_certificate_that_cannot_be_read_is_told():
    with pytest.raises(UsageError, match=r"TLS: /nowhere\.pem: No such file"):
        Collector("ipfix://127.0.0.1:0?transport=tls&cert=/nowhere.pem")
