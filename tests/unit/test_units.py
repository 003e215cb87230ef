"""Durations, sizes and rates: what people write, and that what we write is read back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conntap.errors import UsageError
from conntap.units import duration_text, parse_duration, parse_rate, parse_size, size_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10", 10), ("10s", 10), ("500ms", 0.5), ("2m", 120), ("1h30m", 5400), ("1.5h", 5400), ("30d", 2_592_000),
     ("26w", 15_724_800), ("0", 0)],
)  # fmt: skip
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5 s", "5y", "m", "1h30", "1e3", "s5", "٣s"])
def test_no_durations(text):
    with pytest.raises(UsageError, match="is no duration: say"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("8388608", 8 << 20), ("8M", 8 << 20), ("8MiB", 8 << 20), ("8MB", 8_000_000), ("200GB", 200_000_000_000),
     ("1 TiB", 1 << 40), ("5B", 5), ("1k", 1024), ("1kb", 1000)],
)  # fmt: skip
def test_sizes(text, count):
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "lots", "1.5G", "-1", "8iB", "8X"])
def test_no_sizes(text):
    with pytest.raises(UsageError, match="is no size: say"):
        parse_size(text)


@pytest.mark.parametrize(("text", "rate"), [("500/s", 500), ("10k/s", 10_000), ("30/m", 0.5), ("2M/s", 2_000_000)])
def test_rates(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "500", "500/x", "/s", "-1/s"])
def test_no_rates(text):
    with pytest.raises(UsageError, match="is no rate: say"):
        parse_rate(text)


@given(st.integers(0, 1 << 60))
@example(200_000_000_000)
def test_a_size_is_read_back(count):
    assert parse_size(size_text(count)) == count


@given(st.integers(0, 10**12))
@example(0)
def test_a_duration_of_whole_milliseconds_is_read_back(milliseconds):
    assert parse_duration(duration_text(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize(
    ("seconds", "text"), [(5400, "90m"), (2_592_000, "30d"), (604_800, "1w"), (0.2, "200ms"), (0, "0s")]
)
def test_a_duration_is_written_short(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(1 << 30, "1GiB"), (512 << 20, "512MiB"), (200_000_000_000, "200GB"), (1001, "1001"), (0, "0")]
)
def test_a_size_is_written_short(count, text):
    assert size_text(count) == text
