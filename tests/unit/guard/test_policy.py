from __future__ import annotations

from conntap.guard.policy import Policy, base_name
from conntap.guard.read import EXAMPLE, read_policy_text


def test_a_helper_on_another_port_is_the_same_helper():
    assert base_name("ftp-2121") == "ftp"
    assert base_name("netbios-ns") == "netbios-ns"


def test_between_two_boundaries_all_ports_are_alike():
    policy = read_policy_text('[deny]\nports = ["3306"]')
    assert policy.boundaries() == [1024, 3306, 3307, 65536]


def test_the_example_says_what_holds_without_a_file():
    read, built_in = read_policy_text(EXAMPLE), Policy()
    for name in ("sources", "destinations", "ports", "per_master", "masters", "servers", "nat"):
        assert getattr(read.default, name).value == getattr(built_in.default, name).value
    assert read.actions == built_in.actions
