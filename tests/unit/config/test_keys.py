"""The table of keys, and that its document says the same."""

from __future__ import annotations

from dataclasses import fields

import pytest

from conntap.config.keys import KEYS, RETAINED, TABLES, keys_of
from conntap.config.model import RetentionConfig
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
