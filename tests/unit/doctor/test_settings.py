"""Settings: each known one is judged, unknown ones are named."""

from __future__ import annotations

import pytest

from conntap.doctor.model import Entry
from conntap.doctor.reading import Reading
from conntap.doctor.settings import ELSEWHERE, SETTINGS, look
from conntap.doctor.timeouts import TIMEOUTS

LISTENER = (
    "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n"
    "0000 12 4242 00000005 0 0 0 2 0 999\n"
)  # fmt: skip


def looked(netlink: str = "", *, initial: bool = True, **settings: int) -> dict[str, Entry]:
    named = {f"netfilter/{name}": str(value) for name, value in settings.items()}
    return {entry.name: entry for entry in look(Reading(settings=named, netlink=netlink, initial=initial))}


def test_the_kernels_own_values_are_fine() -> None:
    defaults = {setting.name: setting.default for setting in SETTINGS if setting.default is not None}
    defaults |= {timeout.name: timeout.default for timeout in TIMEOUTS}
    found = looked(**defaults)
    assert {name for name, entry in found.items() if entry.level != "fine"} == set()
    assert set(found) == set(defaults)


def test_every_setting_says_what_it_is_and_where_it_is_used() -> None:
    assert all(setting.what and setting.source for setting in SETTINGS)
    names = [setting.name for setting in SETTINGS] + [timeout.name for timeout in TIMEOUTS]
    assert len(names) == len(set(names))
    assert not ELSEWHERE & set(names)


@pytest.mark.parametrize("name", ["nf_conntrack_events", "nf_conntrack_acct", "nf_conntrack_timestamp"])
def test_what_a_log_needs_matters_only_while_somebody_listens(name: str) -> None:
    value = 2 if name == "nf_conntrack_events" else 0
    assert looked(**{name: value})[name].level == "fine"
    entry = looked(LISTENER, **{name: value})[name]
    assert entry.level == ("todo" if name == "nf_conntrack_events" else "note")
    assert entry.todo == f"sysctl -w net.netfilter.{name}=1"
    assert looked(LISTENER, **{name: 1})[name].level == "fine"


@pytest.mark.parametrize(
    "name", ["nf_conntrack_tcp_be_liberal", "nf_conntrack_tcp_ignore_invalid_rst", "nf_conntrack_helper"]
)
def test_what_opens_something_is_to_do(name: str) -> None:
    entry = looked(**{name: 1})[name]
    assert entry.level == "todo"
    assert f"net.netfilter.{name}=0" in entry.todo


def test_a_log_that_goes_nowhere_is_told() -> None:
    assert "the kernel's log" in looked(nf_conntrack_log_invalid=255)["nf_conntrack_log_invalid"].why
    assert "to nowhere" in looked(initial=False, nf_conntrack_log_invalid=6)["nf_conntrack_log_invalid"].why
    reaching = looked(initial=False, nf_conntrack_log_invalid=6, nf_log_all_netns=1)["nf_conntrack_log_invalid"]
    assert "nowhere" not in reaching.why


def test_another_value_than_the_kernels_is_worth_knowing() -> None:
    assert looked(nf_hooks_lwtunnel=1)["nf_hooks_lwtunnel"].level == "note"
    assert looked(nf_conntrack_tcp_max_retrans=5)["nf_conntrack_tcp_max_retrans"].level == "note"
    assert looked(nf_conntrack_checksum=0)["nf_conntrack_checksum"].level == "note"
    assert looked(nf_conntrack_tcp_loose=0)["nf_conntrack_tcp_loose"].level == "note"


def test_a_setting_of_next_years_kernel_is_named() -> None:
    entry = looked(nf_conntrack_quantum=7)["nf_conntrack_quantum"]
    assert (entry.group, entry.level, entry.value) == ("unknown", "unknown", "7")


def test_settings_that_other_tables_tell_and_loggers_are_not_unknown() -> None:
    seen = Reading(settings={"netfilter/nf_conntrack_count": "1", "netfilter/nf_log/2": "NONE", "core/rmem_max": "5"})
    assert list(look(seen)) == []
