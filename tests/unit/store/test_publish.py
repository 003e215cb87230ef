"""Publishing: the file first, then its line; a try that failed leaves nothing and can be repeated."""

from __future__ import annotations

import pytest

from conntap import _core
from conntap.store.manifest import Manifest, Writer
from conntap.store.publish import Full, publish
from conntap.store.verify import verify
from ledgers import rows
from records import made


@pytest.fixture
def manifest(tmp_path):
    writer = Writer(tmp_path, at_ns=1)
    yield writer
    writer.close()


def full(batches):
    builder = _core.SegmentBuilder()
    for batch in batches:
        builder.append(batch)
    return Full(builder, builder.stats["first_seq"], builder.stats["last_seq"], 0)


def test_a_segment_and_its_line(tmp_path, manifest):
    batches = made()
    entry = publish(str(tmp_path), manifest, full(batches), cls="flows", at_ns=5, level=3)
    assert entry.rows + len(manifest.state.gaps) == sum(map(len, batches))
    assert len(rows(tmp_path)) == entry.rows
    assert Manifest.read(tmp_path).segments[entry.file] == entry
    assert verify(tmp_path).faults == []


def test_numbers_without_rows_are_told_too(tmp_path, manifest):
    only_gap = _core.Ledger().feed(_core.Batch.gap("overrun", 1, 2, 3))
    entry = publish(str(tmp_path), manifest, full([only_gap]), cls="flows", at_ns=5, level=3)
    assert entry.file == ""
    assert (manifest.state.last_seq, len(manifest.state.gaps)) == (1, 1)
    assert verify(tmp_path).whole


def test_it_can_be_tried_again(tmp_path, manifest, monkeypatch):
    one = full(made())

    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "append", refuse)
        with pytest.raises(OSError, match="No space"):
            publish(str(tmp_path), manifest, one, cls="flows", at_ns=5, level=3)
    assert not Manifest.read(tmp_path).segments
    entry = publish(str(tmp_path), manifest, one, cls="flows", at_ns=6, level=3)
    assert len(rows(tmp_path)) == entry.rows
    assert verify(tmp_path).whole
