"""Times as people say them (`14:03:11`, `-2h`, `2026-11-02 14:03:11`, epoch seconds), and as they are shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from conntap.errors import UsageError
from conntap.units import parse_duration

__all__ = ["Moment", "duration_ns", "show", "to_ns", "zone_name"]

#: Nanoseconds since the epoch, a datetime (without a zone: local time), or text.
Moment: TypeAlias = int | datetime | str

SECOND = 1_000_000_000
HINT = "say 14:03:11 (today), -2h, '2026-11-02 14:03:11', 2026-11-02T14:03:11Z, 1793628191.5 (epoch seconds), now"


def duration_ns(value: float | timedelta | str) -> int:
    """A length of time: seconds, a timedelta, or text such as `1s`, `500ms`, `2h`.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, timedelta):
        return (value.days * 86_400 + value.seconds) * SECOND + value.microseconds * 1_000
    if isinstance(value, (int, float)):
        return round(value * SECOND)
    return round(parse_duration(value.strip()) * SECOND)


def to_ns(moment: Moment, *, now_ns: int, utc: bool = False) -> int:
    """Nanoseconds since the epoch of *moment*; local time unless it names a zone or *utc* is set.

    Raises:
        UsageError: it is no time.
    """
    if isinstance(moment, int):
        return moment
    if isinstance(moment, datetime):
        return of_datetime(moment, utc=utc)
    text = moment.strip()
    if text == "now":
        return now_ns
    if text[:1] in ("-", "+"):
        return now_ns + (-1 if text[0] == "-" else 1) * duration_ns(text[1:])
    if found := re.fullmatch(r"(\d{6,})(?:\.(\d{1,9}))?", text):
        return int(found[1]) * SECOND + int((found[2] or "").ljust(9, "0"))
    return of_text(text, now_ns=now_ns, utc=utc)


def of_text(text: str, *, now_ns: int, utc: bool) -> int:
    """A date, a time of today, or both."""
    error = UsageError(f"'{text}' is no time", hint=HINT)
    found = re.fullmatch(
        r"(?:(\d{4}-\d\d-\d\d)(?:[T ]|$))?(\d\d?:\d\d(?::\d\d)?)?(?:[.,](\d{1,9}))?\s*(Z|UTC|[-+]\d\d:?\d\d)?", text
    )
    if not found or not (found[1] or found[2]):
        raise error
    date, clock, fraction, zone = found.groups()
    fixed = UTC if utc or zone in ("Z", "UTC") else None
    if date is None:
        today = datetime.fromtimestamp(now_ns // SECOND, UTC)
        date = (today if fixed else today.astimezone()).strftime("%Y-%m-%d")
    clock = (clock or "00:00").rjust(5 if (clock or "").count(":") < 2 else 8, "0")
    offset = zone if zone and fixed is None else ""
    try:
        whole = datetime.fromisoformat(f"{date}T{clock}{offset}")
    except ValueError:
        raise error from None
    if fixed and whole.tzinfo is None:
        whole = whole.replace(tzinfo=fixed)
    return of_datetime(whole, utc=utc) + int((fraction or "").ljust(9, "0"))


def of_datetime(when: datetime, *, utc: bool) -> int:
    """Whole microseconds of a datetime, without going through a float."""
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC) if utc else when.astimezone()
    return duration_ns(when - datetime(1970, 1, 1, tzinfo=UTC))


def show(ns: int, *, utc: bool = False, date: bool = True) -> str:
    """`2026-11-02 14:03:11.482`."""
    when = datetime.fromtimestamp(ns // SECOND, UTC)
    if not utc:
        when = when.astimezone()
    return f"{when.strftime('%Y-%m-%d %H:%M:%S' if date else '%H:%M:%S')}.{ns // 1_000_000 % 1_000:03d}"


def zone_name(ns: int, *, utc: bool = False) -> str:
    """The zone that `show` tells times in: `UTC`, `CET (+0100)`."""
    if utc:
        return "UTC"
    when = datetime.fromtimestamp(ns // SECOND, UTC).astimezone()
    name, offset = when.tzname() or "", when.strftime("%z")
    return name if name == "UTC" or name == offset else f"{name} ({offset})"
