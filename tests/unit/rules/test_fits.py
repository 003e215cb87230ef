"""Whether a packet fits a condition: yes, no, cannot be told."""

from __future__ import annotations

import pytest

from conntap.rules.fits import ABSENT, Holding, fits, fits_ports, holds, row_fits
from conntap.rules.model import Condition, Span
from conntap.rules.spans import ALL_PORTS, bits_of

FIVE = Span(5, 5)


def on(field, *values, **more):
    return Condition((field,), ((values,),) if values else (), **more)


@pytest.mark.parametrize(
    ("condition", "known", "answer"),
    [
        (on("mark", FIVE, Span(7, 9)), 8, True),
        (on("mark", FIVE), 6, False),
        (on("mark", FIVE, negated=True), 6, True),
        (on("mark", FIVE), None, None),
        (on("mark"), 5, False),
        (on("mark", Span(1, 1), mask=3), 0b101, True),
        (on("mark", Span(1, 1), mask=3), 0b111, False),
        (on("iifname", "wan*"), "wan2", True),
        (on("iifname", "wan*"), "lan", False),
        (on("iifname", "wan*", negated=True), "", True),
        (on("iifname", "*"), "lan", True),
        (on("ct_helper", "*"), "", False),
        (on("ct_helper", "ftp", negated=True), ABSENT, False),
        (on("ct_helper", "ftp"), ABSENT, False),
        (on("pkttype", "unicast"), "host", True),
        (on("pkttype", "host"), "unicast", True),
        (on("ct_state", "new", "related"), "related", True),
    ],
)
def test_one_field(condition, known, answer):
    assert fits(condition, known) is answer


@pytest.mark.parametrize(
    ("known", "negated", "answer"), [(5, False, True), (6, False, None), (5, True, False), (6, True, None)]
)
def test_what_is_not_in_a_set_that_grows_may_be_tomorrow(known, negated, answer):
    assert fits(on("saddr", FIVE, grows=True, negated=negated), known) is answer


@pytest.mark.parametrize(
    ("words", "unknown", "answer"), [({"dnat"}, set(), True), (set(), {"dnat"}, None), ({"snat"}, {"assured"}, False)]
)
def test_several_words_hold_at_once(words, unknown, answer):
    known = Holding(frozenset(words), frozenset(unknown))
    assert fits(on("ct_status", "dnat", "expected"), known) is answer


@pytest.mark.parametrize(
    ("asked", "flags", "answer"),
    [
        ("syn", "syn", True),
        ("syn,ack", "ack", True),
        ("syn", "ack", False),
        ("== syn", "syn", True),
        ("== syn", "syn,ack", False),
        ("== 0", "0", True),
        ("syn / syn,ack", "syn,fin", True),
        ("syn / syn,ack", "syn,ack", False),
        ("0 / fin,syn", "ack", True),
        ("SYN / FIN,SYN,RST,ACK", "syn", True),
        ("NONE / ALL", "syn", False),
        ("odd", "syn", None),
    ],
)
def test_flags(asked, flags, answer):
    assert fits(on("tcp_flags", asked), flags) is answer


KNOWN = {"saddr": 5, "iifname": "lan", "dport": 0}.get


class TestPorts:
    def test_a_condition_on_ports(self):
        assert fits_ports(on("dport", Span(1, 9)), KNOWN) == (bits_of((Span(1, 9),)), 0)
        assert fits_ports(on("dport", FIVE, negated=True), KNOWN) == (ALL_PORTS & ~bits_of((FIVE,)), 0)

    def test_bits_of_ports(self):
        sure, maybe = fits_ports(on("dport", Span(1, 1), mask=1), KNOWN)
        assert (sure & 0b11111, maybe) == (0b01010, 0)

    def test_two_fields(self):
        rows = (((FIVE,), (Span(22, 22),)), ((Span(6, 6),), (Span(80, 80),)))
        condition = Condition(("saddr", "dport"), rows)
        assert fits_ports(condition, KNOWN) == (1 << 22, 0)
        assert fits_ports(condition, {"dport": 0}.get) == (0, 1 << 22 | 1 << 80)

    def test_a_field_that_is_not_there_fits_not_even_negated(self):
        condition = Condition(("saddr", "ct_helper"), (((FIVE,), ("ftp",)),), negated=True)
        assert fits_ports(condition, {"saddr": 5, "ct_helper": ABSENT}.get) == (0, 0)
        assert row_fits(("ct_helper",), (("ftp",),), {"ct_helper": ABSENT}.get) == (True, 0)

    def test_ports_that_are_not_known(self):
        assert fits_ports(on("dport", FIVE), {}.get) == (0, ALL_PORTS)

    def test_a_set_that_grows(self):
        sure, maybe = fits_ports(on("dport", FIVE, grows=True), KNOWN)
        assert (sure, maybe) == (1 << 5, ALL_PORTS & ~(1 << 5))
        sure, maybe = fits_ports(on("dport", FIVE, grows=True, negated=True), KNOWN)
        assert (sure, maybe) == (0, ALL_PORTS & ~(1 << 5))


@pytest.mark.parametrize("condition", [Condition(()), Condition((), chance=True), on("dport", FIVE, chance=True)])
def test_what_cannot_be_told_may_hold_for_every_port(condition):
    assert fits_ports(condition, KNOWN) == holds(condition, KNOWN) == (0, ALL_PORTS)


def test_any_condition():
    assert holds(on("saddr", FIVE), KNOWN) == (ALL_PORTS, 0)
    assert holds(on("saddr", Span(6, 6)), KNOWN) == (0, 0)
    assert holds(on("mark", FIVE), KNOWN) == (0, ALL_PORTS)
