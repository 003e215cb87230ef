"""Compression of finished files."""

from __future__ import annotations

import gzip
import io

import pytest

from conntap.errors import UsageError
from conntap.sinks import ipfix_pack
from conntap.sinks.ipfix_pack import check_packing, packed

DATA = bytes(range(256)) * 20_000  # several chunks


def squeezed(kind: str) -> bytes:
    out = io.BytesIO()
    packed(kind, io.BytesIO(DATA), out)
    assert len(out.getvalue()) < len(DATA) / 10
    return out.getvalue()


def test_gzip():
    assert gzip.decompress(squeezed("gzip")) == DATA


def test_zstd():
    zstandard = pytest.importorskip("zstandard")
    assert zstandard.ZstdDecompressor().decompressobj().decompress(squeezed("zstd")) == DATA


def test_a_python_without_zstd_says_so_before_the_first_record(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(ipfix_pack, "import_module", missing)
    with pytest.raises(UsageError, match="cannot write zstd"):
        check_packing("zstd")
    check_packing("gzip")
