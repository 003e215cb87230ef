"""Single values, where the file's tests do not reach."""

from __future__ import annotations

import datetime as dt

import pytest

from conntap.config.values import WrongValueError, duration, list_of, options, size, split_target, text


def test_numbers_are_seconds_and_bytes():
    assert duration(0, 100)(90) == duration(0, 100)("90s") == duration(0, 100)(90.0) == 90
    assert size(1)(4096) == size(1)("4k") == 4096


def test_true_is_no_number():
    with pytest.raises(WrongValueError, match="is true or false, must be a size"):
        size(1)(True)


def test_a_date_is_called_one():
    with pytest.raises(WrongValueError, match="is a date or time, must be text"):
        text(dt.date(2026, 1, 1))


def test_an_element_of_a_list_has_its_path():
    with pytest.raises(WrongValueError) as caught:
        list_of(text, what="words")(["a", 3])
    assert caught.value.path == (1,)


def test_options_become_text():
    assert options({"a": 1, "b": True, "c": "x", "d": False}) == {"a": "1", "b": "yes", "c": "x", "d": "no"}


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("ipfix://[2001:db8::1]:4739?mtu=1400", ("ipfix://[2001:db8::1]:4739", {"mtu": "1400"})),
        ("ipfix:/var/log/a.ipfix", ("ipfix:/var/log/a.ipfix", {})),
        ("ipfix:-?tls&filter=tcp and dport 22", ("ipfix:-", {"tls": "", "filter": "tcp and dport 22"})),
        ("ipfix:-?filter=port%2022", ("ipfix:-", {"filter": "port 22"})),
    ],
)
def test_targets(target, parts):
    assert split_target(target, ("ipfix",)) == parts


@pytest.mark.parametrize("target", ["null:", "syslog://", "syslog:"])
def test_what_needs_no_place_may_have_none(target):
    assert split_target(f"{target}?a=1", ("null", "syslog")) == (target, {"a": "1"})
