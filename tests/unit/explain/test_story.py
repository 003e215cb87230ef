"""What stories, connections and steps answer about themselves."""

from __future__ import annotations

import pytest

from conntap.explain.story import Connection, Ends, endpoint
from explained import CLIENT, SERVER, ftp_story, step, story, told


def test_an_address_of_ipv6_stands_in_brackets_before_its_port():
    assert endpoint("2001:db8::1", 21) == "[2001:db8::1]:21"
    assert endpoint("2001:db8::1") == "2001:db8::1"
    assert endpoint("10.0.0.1", 21) == "10.0.0.1:21"


def test_a_connection_shows_what_nat_makes_of_each_end():
    plain = Connection(letter="A", flow_id=1, protocol="tcp", original=CLIENT, reply=SERVER)
    assert str(plain) == "tcp 10.0.0.5:1000 → 10.0.0.9:80"
    assert not plain.translated
    both = Connection(
        letter="A", flow_id=1, protocol="tcp", original=CLIENT, reply=Ends("10.1.1.1", 8080, "203.0.113.1", 5000)
    )
    assert str(both) == "tcp 10.0.0.5:1000 ⇒ 203.0.113.1:5000 → 10.0.0.9:80 ⇒ 10.1.1.1:8080"


def test_gre_has_keys_in_hexadecimal():
    ends = Ends("10.0.0.5", 0x1111, "10.0.0.9", 0x2222)
    tunnel = Connection(letter="A", flow_id=1, protocol="gre", original=ends, reply=ends.inverse)
    assert str(tunnel) == "gre 10.0.0.5:0x1111 → 10.0.0.9:0x2222"


def test_the_title_names_the_helpers_protocol():
    assert ftp_story().title.startswith("FTP control 10.0.0.5:")
    assert told("tcp_invalid")[0].title == "TCP 10.0.1.2:40000 → 10.0.2.2:80"


def test_in_active_mode_the_childs_client_stands_at_the_roots_server():
    assert not ftp_story().flipped("A")
    assert ftp_story().flipped("B")
    assert not told("ftp_passive", "", "ftp")[0].flipped("B")


@pytest.mark.parametrize(
    "fields",
    [
        {"verdict": "INVALID"}, {"state": "FIN_WAIT"}, {"dropped": True}, {"reason": "seq_under"},
        {"windows_said": "client sent up to 1"}, {"packet": None},
    ],
)  # fmt: skip
def test_a_step_is_eventful_when_anything_but_fitting_happened(fields):
    assert not step().eventful
    assert step(**fields).eventful


def test_asking_for_a_letter_that_is_not_there_is_a_key_error():
    assert story(step()).connection("A").letter == "A"
    with pytest.raises(KeyError):
        story(step()).connection("Z")
