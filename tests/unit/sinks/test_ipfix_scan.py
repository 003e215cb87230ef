"""How far a file is to be trusted."""

from __future__ import annotations

import io

import pytest

from conntap import _core
from conntap.sinks.ipfix_scan import Mark, last_mark
from flow_messages import many


@pytest.fixture
def file() -> tuple[bytes, int]:
    """Records, a mark, more records; and where the mark ends."""
    exporter = _core.IpfixExporter()
    marked = b"".join([*exporter.templates(1_800_000_000 * 10**9), *exporter.encode(many(30)), *exporter.statistics()])
    return marked + b"".join(exporter.encode(many(30))), len(marked)


def test_up_to_the_last_mark(file):
    data, marked = file
    assert last_mark(io.BytesIO(data), 3) == Mark(marked, 30, 1_800_000_000)


def test_cut_anywhere(file):
    data, marked = file
    for size in range(len(data)):
        found = last_mark(io.BytesIO(data[:size]), 3)
        assert found.size == (marked if size >= marked else 0)


def test_what_is_no_ipfix():
    assert last_mark(io.BytesIO(b"hello, this is a text of some length\n" * 10), 3) == Mark()


def test_the_domain_of_others_is_not_ours(file):
    assert last_mark(io.BytesIO(file[0]), 4) == Mark()
