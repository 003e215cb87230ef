"""Times as people say them, and as they are shown."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from conntap.errors import UsageError
from conntap.store.times import duration_ns, show, to_ns, zone_name

SECOND = 1_000_000_000
#: 2026-11-02 14:03:11 UTC.
THEN = 1_793_628_191 * SECOND
#: An hour later.
NOW = THEN + 3600 * SECOND


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("text", "ns"), [
    ("2026-11-02T14:03:11Z", THEN),
    ("2026-11-02 14:03:11 UTC", THEN),
    ("2026-11-02 15:03:11+01:00", THEN),
    ("2026-11-02 15:03:11 +0100", THEN),
    ("2026-11-02T14:03:11.000000007Z", THEN + 7),
    ("1793628191", THEN),
    ("1793628191.5", THEN + SECOND // 2),
    ("now", NOW),
    ("-1h", THEN),
    ("-90s", NOW - 90 * SECOND),
    ("+500ms", NOW + SECOND // 2),
    (" now ", NOW),
])  # fmt: skip
def test_times_that_mean_the_same_everywhere(berlin, text, ns):
    assert to_ns(text, now_ns=NOW) == ns


@pytest.mark.parametrize("text", ["2026-11-02 15:03:11", "15:03:11"])
def test_without_a_zone_it_is_local_time(berlin, text):
    assert to_ns(text, now_ns=NOW) == THEN
    assert to_ns(text, now_ns=NOW, utc=True) == THEN + 3600 * SECOND


def test_a_date_alone_is_its_midnight():
    assert to_ns("2026-11-02", now_ns=NOW, utc=True) == THEN - (14 * 3600 + 3 * 60 + 11) * SECOND


def test_hours_need_no_zero_and_no_seconds():
    assert to_ns("9:05", now_ns=NOW, utc=True) == to_ns("09:05:00", now_ns=NOW, utc=True)


def test_today_is_the_day_of_the_local_zone(berlin):
    late = to_ns("2026-11-02T23:30:00Z", now_ns=NOW)  # in Berlin it is the 3rd already
    assert to_ns("00:10", now_ns=late) == to_ns("2026-11-02T23:10:00Z", now_ns=late)


def test_numbers_and_datetimes(berlin):
    assert to_ns(7, now_ns=NOW) == 7
    assert to_ns(datetime(2026, 11, 2, 14, 3, 11, tzinfo=UTC), now_ns=NOW) == THEN
    assert to_ns(datetime(2026, 11, 2, 9, 3, 11, tzinfo=timezone(timedelta(hours=-5))), now_ns=NOW) == THEN
    assert to_ns(datetime(2026, 11, 2, 15, 3, 11), now_ns=NOW) == THEN  # noqa: DTZ001
    assert to_ns(datetime(2026, 11, 2, 14, 3, 11, 123_457, tzinfo=UTC), now_ns=NOW) == THEN + 123_457_000


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "2026-13-01", "2026-11-02 14", "-", "-x", "12345", "Z"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError):
        to_ns(text, now_ns=NOW)


@pytest.mark.parametrize(("value", "ns"), [
    (2, 2 * SECOND), (0.25, SECOND // 4), ("1m30s", 90 * SECOND), (" 500ms ", SECOND // 2),
    (timedelta(days=1, microseconds=3), 86_400 * SECOND + 3_000),
])  # fmt: skip
def test_lengths_of_time(value, ns):
    assert duration_ns(value) == ns


def test_shown_in_local_time_or_utc(berlin):
    assert show(THEN + 482_999_999) == "2026-11-02 15:03:11.482"
    assert show(THEN, utc=True) == "2026-11-02 14:03:11.000"
    assert show(THEN, date=False) == "15:03:11.000"


def test_the_zone_is_named(berlin):
    assert zone_name(THEN) == "CET (+0100)"
    assert zone_name(THEN - 90 * 86_400 * SECOND) == "CEST (+0200)"
    assert zone_name(THEN, utc=True) == "UTC"
