"""Addresses as text in SQL, and views over files of either kind."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import duckdb
import pytest

from conntap import _core
from conntap.store import views
from conntap.store.catalog import Catalog
from ledgers import Connection, records_of, write_ledger

WEB, OUT = ("198.51.100.77", 443), ("203.0.113.7", 50510)


@pytest.fixture
def database():
    with duckdb.connect() as made:
        made.execute(views.MACROS)
        yield made


ADDRESSES = [
    "::",
    "::1",
    "1::",
    "2001:db8::",
    "2001:db8::1",
    "1:2:3:4:5:6:7:8",
    "1:0:2::3",
    "1::2:0:0:3:4",
    "fe80::a:b",
    "::ffff:ffff",
    "1:2:3:4:5:6:7:0",
    "0:1::",
    "1:0:0:2::3",
    "1:0:2:0:3:0:4:0",
    "abcd:0:0:1:0:0:0:2",
]


def test_ipv6_addresses_are_written_as_everywhere(database):
    wanted = [str(IPv6Address(text)) for text in ADDRESSES]
    made = [database.execute("SELECT ip6($1)", [IPv6Address(text).packed]).fetchone()[0] for text in ADDRESSES]
    assert made == wanted


def test_ipv4_addresses_both_ways(database):
    for text in ("0.0.0.0", "203.0.113.7", "255.255.255.255"):
        number = int(IPv4Address(text))
        assert database.execute(f"SELECT ip4({number}::UINTEGER), to_ip4('{text}')").fetchone() == (text, number)


def test_an_address_that_is_not_there_is_nothing(database):
    assert database.execute("SELECT ip(NULL::UINTEGER, NULL::BLOB), ip6(NULL::BLOB)").fetchone() == (None, None)


def test_every_column_of_a_segment_is_known_here():
    assert set(_core.SegmentBuilder.names()) <= set(views.COLUMNS)


def test_a_ledger_without_files_has_all_columns_and_no_row(database):
    database.execute(views.records_view([]) + views.flows_view())
    assert database.execute("FROM flows").fetchall() == []
    assert [column[0] for column in database.description] == list(views.columns_of_flows())


def test_segments_of_translations_alone_stand_beside_whole_ones(database, tmp_path):
    for name, nat_only, host in (("a", False, "10.0.0.5"), ("b", True, "10.0.0.6")):
        records, _ = records_of([Connection((host, 1), WEB, outside=OUT)])
        write_ledger(tmp_path, records, nat_only=nat_only, name=f"segments/2026-11-02/{name}.parquet")
    files = [segment.path for segment in Catalog.read(str(tmp_path)).segments]
    database.execute(views.records_view(files) + views.flows_view())
    found = database.execute("SELECT orig_src, orig_dst, orig_bytes FROM flows ORDER BY 1").fetchall()
    assert found == [("10.0.0.5", "198.51.100.77", 500), ("10.0.0.6", None, None)]
    database.execute(views.records_view([f"{tmp_path}/segments/*/*.parquet"], glob=True))
    assert database.execute("SELECT count(*) FROM flows").fetchone() == (2,)


def test_bytes_are_what_a_record_tells_anew(database):
    database.execute(
        f"CREATE TABLE records AS {views.empty()} UNION ALL BY NAME "
        "SELECT 1 AS kind, 100 AS orig_bytes, 50 AS reply_bytes UNION ALL BY NAME "
        "SELECT 0 AS kind, 300 AS orig_bytes, 60 AS reply_bytes, 100 AS prior_orig_bytes, 50 AS prior_reply_bytes "
        "UNION ALL BY NAME SELECT 2 AS kind, 5 AS orig_bytes UNION ALL BY NAME SELECT 0 AS kind"
    )
    database.execute(views.flows_view())
    found = database.execute("SELECT kind, bytes FROM flows ORDER BY ALL").fetchall()
    assert found == [("BINDING", None), ("FLOW", 210), ("FLOW", None), ("INTERIM", 150)]


def test_rows_may_stand_in_a_view_itself(database):
    columns = {"name": "VARCHAR", "count": "UBIGINT", "seen": "make_timestamp_ns", "good": "BOOLEAN"}
    database.execute(views.values_view("made", columns, [("it's", 7, 1_000, True), (None, None, None, False)]))
    found = database.execute("SELECT name, count, epoch_ns(seen), good FROM made").fetchall()
    assert found == [("it's", 7, 1_000, True), (None, None, None, False)]
    database.execute(views.values_view("made", columns, []))
    assert database.execute("SELECT * FROM made").fetchall() == []
