"""Use the binding as a program does, for `scripts/valgrind.sh`: files, filters, every text form, the live kernel.

Runs in a network namespace of its own (`python -m conntap.lab.sandbox`). Ends with 0 if all went as it should.
"""

from __future__ import annotations

import contextlib
import gc
import tempfile
from pathlib import Path

import conntap
from conntap import _core
from conntap.errors import ConntapError
from conntap.recording import RecordWriter, replay

RECORDINGS = Path(__file__).parents[1] / "tests" / "data" / "recordings"
SAMPLES = RECORDINGS / "samples.pcapng"
FLOWS = 200


def read_recordings() -> None:
    """Rows, fields and texts of a recording, whole and damaged."""
    batches = list(replay(SAMPLES).batches())
    rows = [event for batch in batches for event in batch.events()]
    assert len(rows) == 50, len(rows)
    texts = [repr(row) for row in rows]
    del batches
    gc.collect()
    assert texts == [repr(row) for row in rows], "rows outlive their batches"
    data = SAMPLES.read_bytes()
    for cut in range(0, len(data), 997):
        reader = _core.RecordingReader(conntap.Filter(""))
        for part in (data[:cut], bytes(cut), data[cut:]):
            with contextlib.suppress(ConntapError):
                reader.feed(part)
        reader.finish()


def write_recording() -> None:
    """A recording made from a recording holds the same rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.pcapng"
        with RecordWriter(path) as writer:
            for batch in replay(SAMPLES).batches():
                writer.write(batch)
        assert list(map(repr, replay(path))) == list(map(repr, replay(SAMPLES)))


def write_texts() -> None:
    """Every text form goes to a file: Valgrind looks at all bytes that a system call is given."""
    with tempfile.TemporaryFile() as file:
        for style in ("conntrack", "xml", "save", "human"):
            formatter = _core.Formatter(style, extended=True, id=True, timestamp=True, labels=b"0 eins\n")
            for batch in replay(SAMPLES).batches():
                file.write(formatter.format(batch))
        assert file.tell() > 10_000, file.tell()


def use_filters() -> None:
    """Filters that parse, and texts that do not."""
    for text in ("tcp and dport 80", "not (nat or assured)", "new, destroy and udp", "src 192.0.2.0/24", ""):
        counted = sum(1 for _ in replay(SAMPLES).events(text))
        assert counted > 0, text
    for text in ("dprot 22", "((((", "src 1.2.3.4/99", "ü" * 1000, "not " * 1000):
        with contextlib.suppress(ConntapError):
            conntap.Filter(text)
            raise AssertionError(f"{text[:20]!r} parsed")


def use_arrow() -> None:
    """Columns of a batch, as a consumer of the capsule protocol takes and drops them."""
    table = replay(SAMPLES).arrow()
    for _ in range(3):
        capsule = table.__arrow_c_stream__()
        del capsule
    gc.collect()


def use_kernel() -> None:
    """Make, list, change, hear and delete flows in this namespace."""
    with conntap.open() as ct, ct.events() as events:
        for port in range(1, FLOWS + 1):
            ct.create(
                orig_src="192.0.2.1", orig_dst="198.51.100.9", l4proto=17, orig_sport=port, orig_dport=53, timeout=300
            )
        assert ct.count() == FLOWS
        assert sum(1 for _ in ct.flows("udp")) == FLOWS
        assert ct.update("sport 1-10", mark=7) == 10
        assert sum(1 for _ in ct.flows("mark 7")) == 10
        assert ct.delete("sport 1-100") == 100
        ct.flush()
        heard = 0
        for event in events:
            heard += event.kind in {"NEW", "DESTROY"}
            if heard == 2 * FLOWS:
                break
        assert ct.stats() is not None


def main() -> None:
    for step in (read_recordings, write_recording, write_texts, use_filters, use_arrow, use_kernel):
        step()
        print(f"  {step.__name__} done", flush=True)


if __name__ == "__main__":
    main()
