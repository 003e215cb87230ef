"""Places where records come in are read whole, and what is wrong is said."""

from __future__ import annotations

import pytest

from conntap.collector.place import parse_place
from conntap.errors import UsageError


def test_udp_at_the_registered_port_is_usual():
    place = parse_place("ipfix://0.0.0.0")
    assert (place.transport, place.host, place.port, place.exporters) == ("udp", "0.0.0.0", 4739, ())


def test_other_transports_have_their_ports():
    assert parse_place("ipfix://[::]?transport=tcp").port == 4739
    tls = parse_place("ipfix://[::1]:0?transport=tls&cert=a.pem&key=b.pem&ca=c.pem")
    assert (tls.host, tls.port, tls.cert, tls.key, tls.ca) == ("::1", 0, "a.pem", "b.pem", "c.pem")


def test_a_file_is_a_path():
    assert parse_place("ipfix:/var/log/a b.ipfix").path == "/var/log/a b.ipfix"
    assert parse_place("ipfix:-").path == "-"


def test_sizes_have_units():
    assert parse_place("ipfix://0.0.0.0?buffer=4MiB").buffer_bytes == 4 << 20


def test_exporters_may_be_listed():
    place = parse_place("ipfix://0.0.0.0?from=192.0.2.0/24,2001:db8::1")
    assert place.takes_from("192.0.2.7")
    assert place.takes_from("2001:db8::1")
    assert not place.takes_from("198.51.100.1")
    assert parse_place("ipfix://0.0.0.0").takes_from("198.51.100.1")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("netflow://0.0.0.0", "is no place"),
        ("ipfix:", "is no place"),
        ("ipfix://", "is no place"),
        ("ipfix://:4739", "is no place"),
        ("ipfix://0.0.0.0:4739/path", "is no place"),
        ("ipfix://0.0.0.0:70000", "ort out of range"),
        ("ipfix://0.0.0.0?transport=sctp", "unknown transport 'sctp'"),
        ("ipfix://0.0.0.0?transport=tls", "needs a certificate"),
        ("ipfix://0.0.0.0?cert=a.pem", "cert= is for TLS"),
        ("ipfix://0.0.0.0?transport=tcp&buffer=1M", "buffer= is for UDP"),
        ("ipfix://0.0.0.0?buffer=much", "no size"),
        ("ipfix://0.0.0.0?from=nobody", "from=nobody"),
        ("ipfix://0.0.0.0?form=192.0.2.1", "there is no option 'form'"),
        ("ipfix://0.0.0.0?from=192.0.2.1&from=192.0.2.2", "said twice"),
        ("ipfix://0.0.0.0?from=", "is empty"),
        ("ipfix:file?from=192.0.2.1", "a file has no options"),
    ],
)
def test_what_is_wrong_is_said(text, fault):
    with pytest.raises(UsageError, match=fault) as caught:
        parse_place(text)
    assert caught.value.hint
