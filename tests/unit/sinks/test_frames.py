from __future__ import annotations

import io

import pytest

from conntap.errors import UsageError
from conntap.sinks import frames

PACKED = ("gzip", "zstd")


@pytest.mark.parametrize(
    ("path", "said", "packing"),
    [("a.jsonl", None, "none"), ("a.jsonl.gz", None, "gzip"), ("a.zst", None, "zstd"), ("a.gz", "none", "none")],
)
def test_the_name_or_the_user_says_how_a_file_is_packed(path, said, packing):
    assert frames.packing_of(path, said) == packing


def test_there_is_no_other_packing():
    with pytest.raises(UsageError, match="none, gzip or zstd"):
        frames.packing_of("a", "lzma")


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("torn", [0, 1, 9])
def test_whole_frames_are_found_before_a_torn_one(packing, torn):
    whole = frames.pack(b"one\n", packing) + frames.pack(b"two\n", packing)
    last = frames.pack(b"three\n", packing)
    found = frames.walk(io.BytesIO(whole + last[:-torn] if torn else whole), packing)
    assert (found.size, found.tail, found.is_damaged) == (len(whole), b"two\n", False)


@pytest.mark.parametrize("packing", PACKED)
def test_what_is_no_frame_is_damage(packing):
    whole = frames.pack(b"one\n", packing)
    found = frames.walk(io.BytesIO(whole + b"no frame at all"), packing)
    assert (found.size, found.is_damaged) == (len(whole), True)


@pytest.mark.parametrize("packing", PACKED)
def test_the_beginning_can_be_read(packing):
    assert frames.beginning(frames.pack(b"one\n", packing), packing) == b"one\n"
    assert frames.beginning(b"no frame at all", packing) == b""
