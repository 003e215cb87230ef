"""Which connections get which helper, as the command line says it."""

from __future__ import annotations

import pytest

from conntap.errors import UsageError
from conntap.helpers.assign import Assignment, assign, family_of, well_known_assignments, with_children
from conntap.helpers.registry import HELPERS, load


@pytest.mark.parametrize(
    ("text", "assignments"),
    [
        ("ftp=tcp/2121", [("ftp", 6, 2121, 0)]),
        ("ftp", [("ftp", 6, 21, 0)]),
        (" FTP ", [("ftp", 6, 21, 0)]),
        ("sip", [("sip", 17, 5060, 0), ("sip", 6, 5060, 0)]),
        ("sip=udp/5080", [("sip", 17, 5080, 0)]),
        ("irc", [("irc", 6, 6667, 4)]),
        ("h323", [("RAS", 17, 1719, 0), ("Q.931", 6, 1720, 0)]),
        ("h323=tcp/1721", [("Q.931", 6, 1721, 0)]),
        ("H.245=tcp/3000", [("H.245", 6, 3000, 0)]),
    ],
)
def test_a_helper_is_assigned_by_name_protocol_and_port(text, assignments):
    assert list(assign(text)) == [Assignment(*fields) for fields in assignments]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("nonsense", "no helper is called 'nonsense'"),
        ("", "no helper is called ''"),
        ("ftp=", "assigns no helper"),
        ("ftp=21", "assigns no helper"),
        ("ftp=tcp", "assigns no helper"),
        ("ftp=tcp/", "assigns no helper"),
        ("ftp=tcp/0", "assigns no helper"),
        ("ftp=tcp/65536", "assigns no helper"),
        ("ftp=tcp/٢١", "assigns no helper"),
        ("ftp=sctp/21", "assigns no helper"),
        ("ftp=udp/21", "helper 'ftp' does not read udp"),
        ("H.245", "has no port of its own"),
    ],
)
def test_a_fault_is_told(text, what):
    with pytest.raises(UsageError, match=what):
        assign(text)


def test_every_helper_with_a_port_is_well_known():
    found = {rule.helper for rule in well_known_assignments()}
    assert found == {name for name, entry in HELPERS.items() if entry.port}


@pytest.mark.parametrize("name", HELPERS)
def test_an_assignment_is_for_the_ip_versions_that_the_helper_reads(name):
    assert family_of(name) in (0, *load(name).families)
    assert (family_of(name) == 0) == (len(load(name).families) == 2)


def test_helpers_come_with_those_that_they_give_to_others():
    assert with_children(["ftp", "RAS", "ftp"]) == ["ftp", "RAS", "Q.931", "H.245"]


def test_a_helper_of_ones_own_has_no_children_by_its_name():
    assert with_children(["RAS"], {"RAS"}) == ["RAS"]
