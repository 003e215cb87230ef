"""Expectations, loggers and buffers of sockets."""

from __future__ import annotations

from conntap.doctor.machine import look
from conntap.doctor.model import Entry
from conntap.doctor.reading import Reading


def looked(seen: Reading) -> dict[str, Entry]:
    return {entry.name: entry for entry in look(seen)}


def test_expectations_for_anyone_are_worth_knowing() -> None:
    found = looked(Reading(expectations={"ftp": (2, 0), "irc": (3, 3)}))
    assert found["expectations of ftp"].level == "fine"
    assert found["expectations of irc"].level == "note"
    assert "3 of them may be used by anyone" in found["expectations of irc"].why
    assert looked(Reading(expectations={}))["expectations"].value == "0"
    assert looked(Reading(expectations=None)) == {}


def test_a_log_without_a_logger_is_to_do() -> None:
    settings = {"netfilter/nf_log/2": "NONE", "netfilter/nf_conntrack_log_invalid": "6"}
    entry = looked(Reading(settings=settings))["nf_log.2"]
    assert entry.level == "todo"
    assert "net.netfilter.nf_log.2=nfnetlink_log" in entry.todo
    del settings["netfilter/nf_conntrack_log_invalid"]
    assert looked(Reading(settings=settings))["nf_log.2"].level == "fine"


def test_loggers_of_other_families_are_told_and_never_to_do() -> None:
    settings = {f"netfilter/nf_log/{family}": "NONE" for family in range(11)} | {
        "netfilter/nf_conntrack_log_invalid": "6"
    }
    found = {name: entry.level for name, entry in looked(Reading(settings=settings)).items()}
    assert found == {"nf_log.2": "todo", "nf_log.10": "todo"} | {f"nf_log.{n}": "fine" for n in (1, 3, 5, 7)}


def test_the_kernels_log_is_not_for_other_namespaces() -> None:
    settings = {"netfilter/nf_log/10": "nf_log_ipv6", "netfilter/nf_conntrack_log_invalid": "255"}
    assert looked(Reading(settings=settings))["nf_log.10"].level == "fine"
    assert looked(Reading(settings=settings, initial=False))["nf_log.10"].level == "note"


def test_what_a_killed_doctor_left_is_to_do() -> None:
    entry = looked(Reading(left="pid 5 was killed; nf_conntrack_log_invalid is 6, was 0"))["log of INVALID packets"]
    assert (entry.level, entry.todo) == ("todo", "conntap doctor --restore")


def test_a_buffer_is_told_in_events() -> None:
    found = looked(Reading(settings={"core/rmem_default": "212992", "core/netdev_max_backlog": "1000"}))
    assert "about 163 events, 16 ms at 10,000 a second" in found["net.core.rmem_default"].why
    assert found["net.core.netdev_max_backlog"].level == "fine"
