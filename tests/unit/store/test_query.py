"""The ledger's handle: flows with filters, SQL, gaps, segments."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars
import pytest

import conntap
from conntap import Filter, _core
from conntap.errors import ConntapError, FilterError, UsageError
from conntap.store.query import Ledger
from ledgers import ICMP, SECOND, UDP, Connection, at, attribute, held, records_of, write_ledger

OUT = ("203.0.113.7", 50510)
WEB = ("198.51.100.77", 443)
PCAPS = sorted((Path(__file__).resolve().parents[2] / "data/pcap").glob("*.pcap"))

MIXED = [
    Connection(("10.0.0.5", 40000), WEB, outside=OUT, extra=attribute(8, b"\0\0\0\x10"), bytes=1000),
    Connection(("10.0.0.6", 53), ("198.51.100.53", 53), outside=("203.0.113.7", 1053), proto=UDP, bytes=100, start=5),
    Connection(("10.0.0.5", 9), ("198.51.100.9", 0), outside=("203.0.113.7", 77), proto=ICMP),
    Connection(("192.0.2.9", 1234), ("203.0.113.7", 80), server=("10.0.0.8", 8080), stop=None),
    Connection(
        ("fd00::5", 40000), ("2001:db8::77", 443), outside=("2001:db8:1::1", 50510), extra=attribute(18, b"\0\7")
    ),
]

# Everything of the language that a ledger can be asked; `MIXED` and the engine's samples have rows for and against.
FILTERS = """
tcp | udp | icmp | icmp6 | ip | ip6 | not tcp | proto 6,17 | proto != 6 | src 10.0.0.5 | src 10.0.0.0/8 | dst 198.51.100.0/24
reply src 10.0.0.8 | reply dst 203.0.113.7 | host 203.0.113.7 | host 10.0.0.8 | orig host 10.0.0.8 | src 10.0.0.5 mask 255.0.0.255
src fd00::5 | dst 2001:db8::/32 | host 2001:db8:1::1 | src 0.0.0.0/0 | src ::/0 | sport 40000 | dport 443 | dport 1-1000 | dport > 1023
reply sport 8080 | reply dport 50510 | port 53 | not port 53 | not dport 443 | reply port 8080 | icmp type 8 | icmpcode 0 | icmpid 9
state established | state time_wait,none | not state time_wait | assured | replied | unreplied | not replied | status 0x4/0x6 | related
snat | dnat | nat | not nat | snat to 203.0.113.7 | snat to 203.0.113.7:50510 | dnat to 10.0.0.8:8080 | nat to 203.0.113.0/24
mark 16 | mark 0x10/0xf0 | mark 0 | not mark 0 | zone 7 | zone 0 | orig zone 0 | bytes > 1k | bytes <= 1000 | packets 10 | orig_packets > 0
reply_bytes >= 100 | not bytes > 1k | helper | helper ftp | not helper | master | destroy | update | new | start_ns > 1793628001000000000
stop_ns < 1793628011000000000 | tcp and dport 443 and nat and not udp | tcp or udp and not snat | not (tcp or udp) | gre | sctp | label 3
udp, icmp | dport 443, udp | not new, destroy | expectation | flow | unreplied or bytes < 200
""".replace("\n", " | ")  # fmt: skip


def sample_records(seq):
    """Records of the engine's samples, of all protocols, with counters and times; numbered behind *seq*."""
    for path in PCAPS:
        ledger = _core.Ledger(bindings="all", seq=seq)
        for batch in conntap.replay(path).batches():
            made = ledger.feed(batch)
            if len(made):
                yield made
        seq = ledger.seq


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A ledger of all samples and of the mixed connections, and its records as batches."""
    records, _ = records_of(MIXED, bindings="nat")
    records += sample_records(records[-1].last_seq)
    directory = write_ledger(tmp_path_factory.mktemp("ledger"), records)
    return Ledger(directory, overlay=held()), _core.Batch.concat(records)


def of_event(flow):
    return (
        flow.kind,
        flow.l4proto,
        str(flow.original.src),
        flow.original.sport,
        str(flow.original.dst),
        flow.original.dport,
        str(flow.reply.src),
        str(flow.reply.dst),
        flow.reply.dport,
        flow.start_ns,
    )


@pytest.mark.parametrize("text", [text.strip() for text in FILTERS.split("|") if text.strip()])
def test_a_filter_gives_the_same_records_in_sql_and_here(everything, text):
    ledger, records = everything
    wanted = sorted(map(repr, map(of_event, records.filter(Filter(text)).flows())))
    query = "SELECT kind, l4proto, orig_src, orig_sport, orig_dst, orig_dport, reply_src, reply_dst, reply_dport, epoch_ns(start_ns) FROM flows"
    _, rows = ledger.select(query, text).fetch()
    assert sorted(map(repr, rows)) == wanted


def test_the_filters_above_are_not_all_empty_or_full(everything):
    _, records = everything
    counts = {text: len(records.filter(Filter(text))) for text in map(str.strip, FILTERS.split("|")) if text}
    assert len({text for text, count in counts.items() if 0 < count < len(records)}) > 60


@pytest.mark.parametrize(
    ("text", "part"), [("timeout > 5", "timeout"), ("tcp and secmark 3", "secmark"), ("use 1", "use")]
)
def test_what_a_ledger_does_not_keep_is_refused(everything, text, part):
    with pytest.raises(UsageError, match=f"'{part}.*cannot be asked of a ledger"):
        everything[0].flows(text)


def test_a_filter_that_does_not_parse_is_refused(everything):
    with pytest.raises(FilterError):
        everything[0].flows("dprot 5")


@pytest.fixture
def ledger(tmp_path):
    records, opened = records_of(MIXED)
    return Ledger(write_ledger(tmp_path, records), overlay=held(opened))


def test_rows_have_the_names_of_the_fields_and_open_flows_are_there(ledger):
    rows = {(row["orig_src"], row["l4proto"]): row for row in ledger.flows().rows()}
    assert len(rows) == 5
    tcp = rows["10.0.0.5", 6]
    assert (tcp["kind"], tcp["reply_dst"], tcp["nat"], tcp["orig_bytes"], tcp["bytes"]) == (
        "FLOW",
        "203.0.113.7",
        "snat",
        1000,
        2000,
    )
    assert (tcp["end_reason"], tcp["duration"]) == ("idle_timeout", 10.0)
    ping = rows["10.0.0.5", 1]
    assert (ping["orig_sport"], ping["orig_icmp_id"], ping["reply_icmp_id"], ping["orig_icmp_type"]) == (None, 9, 77, 8)
    assert rows["fd00::5", 6]["orig_dst"] == "2001:db8::77"
    open_ = rows["192.0.2.9", 6]
    assert (open_["kind"], open_["stop_ns"], open_["reply_src"], open_["reply_sport"]) == (
        "OPEN",
        None,
        "10.0.0.8",
        8080,
    )


def test_flows_within_a_time_are_those_that_lived_then(ledger):
    count = lambda *between: len(list(ledger.flows("ip", between=between).rows()))  # noqa: E731
    assert count(at(11), None) == 1  # only the open one
    assert count(None, at(4)) == 3
    assert count(at(2), at(3)) == 3
    assert count(None, at(-1)) == 0


def test_columns_are_chosen_by_name(ledger):
    (row,) = ledger.flows("udp", columns=["orig_src", "bytes"]).rows()
    assert row == {"orig_src": "10.0.0.6", "bytes": 200}
    with pytest.raises(UsageError, match="no column 'orig_scr'") as caught:
        ledger.flows(columns=["orig_scr"])
    assert "orig_src" in caught.value.hint


def test_arrow_goes_to_whoever_takes_it(ledger):
    frame = polars.DataFrame(ledger.flows("tcp and ip").arrow())
    assert sorted(frame["orig_src"]) == ["10.0.0.5", "192.0.2.9"]
    assert frame.schema["start_ns"] == polars.Datetime("ns")


def test_parquet_has_the_same_rows(ledger, tmp_path):
    ledger.flows("ip").write_parquet(str(tmp_path / "out.parquet"))
    assert polars.read_parquet(tmp_path / "out.parquet").height == 4


def test_sql_sees_all_views(ledger):
    assert ledger.sql("SELECT count(*) FROM records").fetch()[1] == [(5,)]
    assert ledger.sql("SELECT rows FROM segments").fetch()[1] == [(4,)]
    assert ledger.sql("FROM gaps").fetch()[1] == []
    names, rows = ledger.sql(
        "SELECT orig_src FROM flows JOIN records USING (l4proto) WHERE out_addr = to_ip4('203.0.113.7') AND l4proto = 17"
    ).fetch()
    assert (names, rows) == (["orig_src"], [("10.0.0.6",)])


def test_a_wrong_query_is_the_askers_mistake(ledger):
    with pytest.raises(UsageError, match="nonsense"):
        ledger.sql("SELECT nonsense FROM flows").fetch()


def test_a_damaged_file_is_named(ledger):
    Path(ledger.segments()[0].path).unlink()
    with pytest.raises(ConntapError, match=r"a\.parquet") as caught:
        list(ledger.flows().rows())
    assert not isinstance(caught.value, UsageError)


def test_gaps_of_segments_and_of_the_journal_are_told_in_order(tmp_path):
    late, _ = records_of(batches=[_core.Batch.gap("overrun", at(100), at(110), 5)])
    early = _core.Ledger(seq=100).feed(_core.Batch.gap("restart", at(1), at(2), None))
    ledger = Ledger(write_ledger(tmp_path, late), overlay=held(records=[early]))
    assert [(gap.cause, gap.after_ns, gap.lost) for gap in ledger.gaps()] == [
        ("restart", at(1), None),
        ("overrun", at(100), 5),
    ]
    names, rows = ledger.sql("SELECT cause, lost FROM gaps ORDER BY gap_after_ns").fetch()
    assert rows == [("restart", None), ("overrun", 5)]


def test_records_that_are_in_a_segment_already_are_told_once(tmp_path):
    records, _ = records_of([Connection(("10.0.0.5", 1), WEB, outside=OUT)])
    ledger = Ledger(write_ledger(tmp_path, records), overlay=held(records=records))
    assert len(list(ledger.flows().rows())) == 1


def test_the_question_says_when_and_in_which_order(ledger):
    with pytest.raises(UsageError, match="at or between"):
        ledger.who("203.0.113.7")
    with pytest.raises(UsageError, match="ends before it begins"):
        ledger.who("203.0.113.7", between=(at(5), at(1)))
    with pytest.raises(UsageError, match="no port"):
        ledger.who("203.0.113.7", 70_000, at=at(1))


def test_times_may_be_datetimes_and_text(ledger):
    from datetime import UTC, datetime

    moment = datetime(2026, 11, 2, 14, 0, 5, tzinfo=UTC)
    for when in (moment, "2026-11-02T14:00:05Z", at(5)):
        assert ledger.who(*OUT, at=when, skew=timedelta(milliseconds=1)).from_ns == at(0) + 5 * SECOND


def test_a_directory_without_a_ledger_is_refused(tmp_path):
    with pytest.raises(UsageError, match="has no ledger"):
        conntap.ledger(tmp_path)
    (tmp_path / "journal").mkdir()
    assert conntap.ledger(tmp_path).segments() == []


def test_the_views_run_in_a_duckdb_of_its_own(ledger, tmp_path):
    import duckdb

    with duckdb.connect() as other:
        other.execute(ledger.init_sql())
        assert sorted(other.sql("SELECT orig_src FROM flows").fetchall())[0] == ("10.0.0.5",)
        assert other.sql("SELECT rows FROM segments").fetchall() == [(4,)]
