"""The table: full, half full, with a hash that is too small, larger than the machine."""

from __future__ import annotations

from conntap.doctor.model import Entry
from conntap.doctor.reading import Reading
from conntap.doctor.table import look

GIB = 1 << 30


def looked(*, initial: bool = True, memory: int = 16 * GIB, expectations: dict[str, tuple[int, int]] | None = None,
           slabs: dict[str, tuple[int, int, int]] | None = None, **settings: int) -> dict[str, Entry]:  # fmt: skip
    named = {f"netfilter/nf_conntrack_{name}": str(value) for name, value in settings.items()}
    seen = Reading(settings=named, initial=initial, memory=memory, expectations=expectations, slabs=slabs or {})
    return {entry.name: entry for entry in look(seen)}


def test_an_ordinary_table_is_fine() -> None:
    found = looked(count=1_000, max=262_144, buckets=262_144, expect_max=4096, expectations={"ftp": (2, 0)})
    assert {entry.level for entry in found.values()} == {"fine"}
    assert "2.0 when the table is full" in found["nf_conntrack_buckets"].why
    assert "2 wait now" in found["nf_conntrack_expect_max"].why


def test_a_table_nearly_full_is_to_be_enlarged() -> None:
    entry = looked(count=95_000, max=100_000)["nf_conntrack_count"]
    assert (entry.level, entry.share) == ("todo", 0.95)
    assert entry.todo == "sysctl -w net.netfilter.nf_conntrack_max=200000"


def test_half_full_is_worth_knowing() -> None:
    assert looked(count=60_000, max=100_000)["nf_conntrack_count"].level == "note"


def test_in_another_namespace_the_place_to_set_it_is_told() -> None:
    assert "first namespace" in looked(initial=False, count=95, max=100)["nf_conntrack_count"].todo


def test_a_hash_too_small_for_the_table_is_to_be_enlarged() -> None:
    entry = looked(count=0, max=3_000_000, buckets=262_144)["nf_conntrack_buckets"]
    assert entry.level == "todo"
    assert "22.9 when the table is full" in entry.why
    assert entry.todo == "sysctl -w net.netfilter.nf_conntrack_buckets=2097152"


def test_connections_of_other_namespaces_load_the_same_hash() -> None:
    entry = looked(count=0, max=100, buckets=1_000, slabs={"nf_conntrack": (9_000, 9_000, 256)})["nf_conntrack_buckets"]
    assert entry.level == "todo"
    assert "18.0 entries now" in entry.why


def test_a_limit_that_memory_cannot_hold_is_to_be_lowered() -> None:
    entry = looked(memory=GIB, max=4_000_000, buckets=4_000_000)["nf_conntrack_max"]
    assert entry.level == "todo"
    lowered = int(entry.todo.rpartition("=")[2])
    assert lowered * (256 + 128) <= GIB // 4


def test_no_limit_is_no_division_by_nothing() -> None:
    assert looked(count=5, max=0, buckets=16)["nf_conntrack_count"].why == "no limit: memory is the limit"


def test_expectations_near_their_limit() -> None:
    entry = looked(expect_max=100, expectations={"sip": (60, 0), "irc": (38, 38)})["nf_conntrack_expect_max"]
    assert (entry.level, entry.share) == ("todo", 0.98)


def test_what_it_takes_now_is_told_where_the_machine_tells() -> None:
    entry = looked(buckets=1_024, slabs={"nf_conntrack": (4_000, 4_096, 256)})["memory of connections"]
    assert (entry.number, entry.value) == (4_096 * 256 + 8 * 1_024, "1.0 MiB")
    assert "4,000 objects" in entry.why


def test_without_settings_nothing_is_said() -> None:
    assert looked() == {}
