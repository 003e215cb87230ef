"""The table of keys, and that its document says the same."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.config.faults import ConfigError, Fault
from conntap.config.keys import KEYS, RETAINED, TABLES, keys_of
from conntap.config.model import RetentionConfig
from conntap.config.read import make
from conntap.errors import UsageError


def test_each_key_is_there_once_and_in_a_table_that_there_is():
    names = [key.full for key in KEYS]
    assert len(names) == len(set(names))
    assert {key.table for key in KEYS} == {"", *TABLES}


def test_kinds_that_are_retained_are_those_of_the_model():
    assert {*RETAINED, "max_bytes"} == {field.name for field in fields(RetentionConfig)} == set(keys_of("retention"))


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.full)
def test_the_reference_has_the_key(root, key):
    row = f"| `{key.name}` | {key.form} | {key.default} | {key.meaning} |"
    section = (root / "docs/log-config.md").read_text().partition(f"<!-- keys of {key.table or 'the top'} -->")[2]
    assert row in section.partition("\n\n")[0].splitlines()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.full)
def test_no_key_takes_what_it_cannot_mean(key):
    with pytest.raises(UsageError, match=r"must be|is no|is empty"):
        key.read(object())


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates()
WORDS = st.sampled_from(
    [*(key.name for key in KEYS), *TABLES, "age", "size", "ipv4", "ipv6", "1d", "nat", "parquet:/x", "csv:-?a=1&a"]
)
VALUES = st.recursive(
    SCALARS | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(), inner, max_size=4)
)


@given(st.dictionaries(WORDS, VALUES, max_size=5), st.lists(st.dictionaries(WORDS, VALUES), max_size=2))
def test_whatever_is_said_becomes_settings_or_faults(data, sinks):
    faults: tuple[Fault, ...] = ()
    try:
        config = make({**data, "sink": sinks}, lambda path: ".".join(map(str, path)))
    except ConfigError as error:
        faults = error.faults
    assert faults or config.sinks
