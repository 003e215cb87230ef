"""What is in no segment yet, as a file in memory; and what must not be told of it."""

from __future__ import annotations

import os
import sys
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from conntap import Filter, _core
from conntap.errors import ConntapError
from conntap.sinks.parquet import ParquetSink
from conntap.store import duck
from conntap.store.overlay import Held, Overlay, of_journal
from conntap.store.query import Ledger
from ledgers import Connection, at, held, records_of, write_ledger

WEB, OUT = ("198.51.100.77", 443), ("203.0.113.7", 50510)
NATTED = Connection(("10.0.0.5", 40000), WEB, outside=OUT, stop=None)
PLAIN = Connection(("10.9.0.7", 3), WEB, stop=None)
NETWORKS = {"inside": ["10.0.0.0/8"]}


def rows(overlay, columns="kind, out_addr"):
    database = duck.connect()
    try:
        return database.execute(f"SELECT {columns} FROM read_parquet({duck.texts(overlay.files)})").fetchall()
    finally:
        database.close()


def opened(*connections):
    return Held([], records_of(connections)[1], at(60))


def test_records_and_open_flows_are_one_file():
    ended, _ = records_of([Connection(("10.0.0.6", 1), WEB, outside=OUT)])
    with Overlay(opened(NATTED)._replace(records=ended)) as overlay:
        assert sorted(kind for kind, _ in rows(overlay)) == [0, 3]
        assert (overlay.known, overlay.until_ns, overlay.withheld) == (True, at(60), "")


def test_without_a_journal_open_flows_are_not_known():
    with Overlay(None) as overlay:
        assert (overlay.known, overlay.files, overlay.until_ns) == (False, [], 0)


def test_a_journal_without_rows_needs_no_file():
    with Overlay(Held([], [], at(60))) as overlay:
        assert (overlay.known, overlay.files) == (True, [])


def test_what_is_in_a_segment_is_not_told_again():
    ended, _ = records_of([Connection(("10.0.0.6", 1), WEB), Connection(("10.0.0.7", 1), WEB, stop=20)])
    with Overlay(Held(ended, [], at(60)), after=1) as overlay:
        assert rows(overlay, "seq") == [(2,)]


def test_only_rows_that_are_wanted_are_in_it():
    with Overlay(opened(NATTED, PLAIN), where=Filter("host 10.9.0.7")) as overlay:
        assert rows(overlay) == [(3, int(ip_address("10.9.0.7")))]


def test_gaps_among_the_records_are_told():
    made = _core.Ledger().feed(_core.Batch.gap("overrun", at(1), at(2), 5))
    for privacy in ({}, None, {"hash_inside": True}):
        with Overlay(Held([made], [], at(60)), privacy=privacy) as overlay:
            assert [gap["cause"] for gap in overlay.gaps] == ["overrun"]


def test_the_memory_is_given_back():
    overlay = Overlay(opened(NATTED))
    (path,) = overlay.files
    assert os.path.exists(path)
    overlay.close()
    overlay.close()
    assert not os.path.exists(path)


def test_a_directory_without_a_journal_has_nothing_to_read(tmp_path):
    assert of_journal(str(tmp_path)) is None
    (tmp_path / "journal").mkdir()
    source = of_journal(str(tmp_path))
    assert source is not None
    assert source() is None


# -- privacy -------------------------------------------------------------------------------------------------


def ledger(directory, privacy, *connections):
    """A ledger whose logger said *privacy* as it started, and has these connections open."""
    write_ledger(directory, [], began=None)
    from conntap.store.manifest import Writer

    writer = Writer(directory, at_ns=at(-10))
    said = {} if privacy is None else {"privacy": privacy}
    writer.append({"type": "session", "event": "start", "at_ns": at(-10), **said})
    writer.close()
    _, flows = records_of(connections)
    return Ledger(directory, overlay=held(flows))


def sources(asked, where=""):
    return {row["orig_src"] for row in asked.flows(where).rows()}


def test_truncated_addresses_are_truncated_in_it_too(tmp_path):
    asked = ledger(tmp_path, {"truncate_inside": [24, 48], **NETWORKS}, NATTED, PLAIN)
    assert sources(asked) == {"10.0.0.0", "10.9.0.0"}
    assert sources(asked, "src 10.0.0.0") == {"10.0.0.0"}
    assert sources(asked, "src 10.0.0.5") == set()  # nor does a filter tell
    assert sources(asked, "not src 10.0.0.5") == {"10.0.0.0", "10.9.0.0"}
    (found,) = asked.who(*OUT, "tcp", at=at(5)).candidates
    assert str(found.host) == "10.0.0.0:40000"


def test_destinations_that_are_not_kept_are_not_told(tmp_path):
    asked = ledger(tmp_path, {"no_destination": True}, NATTED)
    assert [row["orig_dst"] for row in asked.flows().rows()] == [None]


def test_pseudonyms_cannot_be_made_without_the_key_so_hosts_are_left_out(tmp_path):
    asked = ledger(tmp_path, {"hash_inside": True, **NETWORKS}, NATTED, PLAIN)
    result = asked.flows()
    assert {row["orig_src"] for row in result.rows()} == {"0.0.0.0"}
    assert "need the logger's key" in result.withheld
    answer = asked.who(*OUT, "tcp", at=at(5))
    assert [str(found.host) for found in answer.candidates] == ["(not kept):40000"]
    assert (answer.certainty, answer.certain) == ("inside withheld", False)
    assert "need the logger's key" in answer.as_dict()["withheld"]
    assert not asked.who("10.0.0.5", at=at(5)).certain  # it may be there under its pseudonym


def test_where_nobody_wrote_down_what_must_not_be_told_nothing_is(tmp_path):
    (tmp_path / "journal").mkdir()
    asked = Ledger(tmp_path, overlay=held(records_of([NATTED])[1]))
    result = asked.flows()
    assert list(result.rows()) == []
    assert "has not written down" in result.withheld
    assert asked.who(*OUT, at=at(5)).certainty != "complete"


@pytest.mark.parametrize(("settings", "told"), [
    ({}, {}),
    ({"truncate_inside": (24, 48)}, {"truncate_inside": [24, 48], "inside": ["10.0.0.0/8"]}),
    ({"hash": True, "no_destination": True}, {"no_destination": True, "hash_inside": True, "inside": ["10.0.0.0/8"]}),
])  # fmt: skip
def test_the_sink_says_what_it_does_not_tell_and_keeps_its_key(tmp_path, settings, told):
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    privacy = SimpleNamespace(
        no_destination=settings.get("no_destination", False),
        truncate_inside=settings.get("truncate_inside"),
        hash_key_file=str(key) if settings.get("hash") else None,
    )
    sink = ParquetSink("parquet:", str(tmp_path / "ledger"), privacy=privacy, inside=["10.0.0.0/8"])
    sink.open()
    sink.close()
    assert Ledger(tmp_path / "ledger")._catalog().privacy == told
    assert b"0123456789" not in (tmp_path / "ledger/manifest.jsonl").read_bytes()


def test_without_arro3_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "arro3.io", None)
    with pytest.raises(ConntapError, match="needs arro3") as caught:
        Overlay(opened(NATTED))
    assert "conntap[ledger]" in caught.value.hint
