"""The kernel's counters: in sum, by CPU, known and unknown."""

from __future__ import annotations

from conntap.doctor.losses import COUNTERS, look
from conntap.doctor.reading import Reading


def test_without_losses_all_is_fine() -> None:
    cpus = tuple({"cpu": cpu, "found": 3, "invalid": 0, "drop": 0} for cpu in range(2))
    entries = {entry.name: entry for entry in look(Reading(cpus=cpus))}
    assert {entry.level for entry in entries.values()} == {"fine"}
    assert (entries["found"].number, entries["drop"].why) == (6, "none")


def test_what_was_lost_is_summed_and_told_by_cpu() -> None:
    cpus = ({"cpu": 0, "drop": 0, "invalid": 1}, {"cpu": 1, "drop": 7, "invalid": 2})
    entries = {entry.name: entry for entry in look(Reading(cpus=cpus))}
    assert (entries["drop"].level, entries["drop"].value) == ("todo", "7")
    assert "CPU 1: 7" in entries["drop"].why
    assert "CPU 0" not in entries["drop"].why
    assert entries["invalid"].level == "note"
    assert "CPU 1: 2, CPU 0: 1" in entries["invalid"].why


def test_of_many_cpus_the_busiest_are_told() -> None:
    cpus = tuple({"cpu": cpu, "early_drop": cpu} for cpu in range(64))
    [entry] = look(Reading(cpus=cpus))
    assert "CPU 63: 63, CPU 62: 62, CPU 61: 61, CPU 60: 60 …" in entry.why


def test_counters_of_expectations_and_unknown_ones_are_told() -> None:
    seen = Reading(cpus=({"cpu": 0, "new_thing": 4},), expect_cpus=({"cpu": 0, "expect_new": 2},))
    entries = {entry.name: entry for entry in look(seen)}
    assert entries["new_thing"].what == "a counter that is unknown to us"
    assert entries["expect_new"].number == 2


def test_without_the_right_nothing_is_made_up() -> None:
    assert list(look(Reading())) == []


def test_each_counter_is_known_once() -> None:
    assert len({counter.name for counter in COUNTERS}) == len(COUNTERS)
