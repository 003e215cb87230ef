"""One walk over capture files with the engine: events and traced packets, part by part, and the table at the end.

A story needs two walks that agree. `Capture` hands on events where there are any; here each part of the file is handed on,
so that what was traced of a long transfer need not be kept until its end.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from conntap import _core
from conntap.errors import RecordingError, UsageError
from conntap.files import open_source
from conntap.recording import is_recording
from conntap.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conntap.tracker import Setup

__all__ = ["Part", "Walk", "spooled"]

#: Bytes read from a file at a time.
CHUNK: Final = 1 << 20
#: Events handed on at a time.
ROWS: Final = 4096


class Part(NamedTuple):
    """What a stretch of the capture gave."""

    events: _core.Batch
    packets: list[_core.TracedPacket]


@contextmanager
def spooled(paths: Sequence[str | os.PathLike[str]]) -> Iterator[list[str]]:
    """Name files that can be read more than once: standard input is copied to a temporary one.

    Raises:
        UsageError: standard input is named more than once.
    """
    names = [os.fspath(path) for path in paths]
    if names.count("-") > 1:
        raise UsageError("standard input can be read once only", hint="name - once")
    if "-" not in names:
        yield names
        return
    with tempfile.NamedTemporaryFile(prefix="conntap-", suffix=".pcap") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield [file.name if name == "-" else name for name in names]


class Walk:
    """One walk. `parts()` makes it; the attributes are those of the end.

    Attributes:
        faults: what could not be read, in words.
        counters: frames, losses and omissions by name.
        flows: the table behind the last packet.
        now_ns: time of the last packet.
    """

    __slots__ = ("_names", "_paths", "_setup", "counters", "faults", "flows", "now_ns")

    def __init__(self, paths: Sequence[str], setup: Setup, *, names: Sequence[str] = ()) -> None:
        """Take files; *names* are how to call them."""
        self._paths = paths
        self._names = names or paths
        self._setup = setup
        self.faults: list[str] = []
        self.counters: dict[str, int] = {}
        self.flows = _core.Batch.of([])
        self.now_ns = 0

    def parts(self, trace: _core.Trace | None = None, *, drain: bool = False) -> Iterator[Part]:
        """Walk.

        Args:
            trace: keeps packets; it is emptied into each part.
            drain: behind the last packet let time go by until every connection has ended.

        Raises:
            OSError: a file cannot be opened.
            RecordingError: a file is no packet capture.
        """
        tracker = Tracker(self._setup)
        engine, reader = tracker.engine, _core.PacketReader(len(self._paths))
        sources = [open_source(path) for path in self._paths]
        try:
            for name, source in zip(self._names, sources, strict=True):
                if is_recording(source) and source.peek():
                    hint = f"conntap replay {name}"
                    raise RecordingError(f"{name} is a recording of events, not of packets", hint=hint)
            word = ""
            while word != "end":
                word, at, text = engine.run(reader, tracker.ask, ROWS, trace=trace)
                if word == "fault":
                    if not reader.counters["frames"]:
                        raise RecordingError(f"{self._names[at]} {text}")
                    self.faults.append(f"{self._names[at]} {text}")
                elif word == "need":
                    data = sources[at].read(CHUNK)
                    if data:
                        reader.feed(at, data)
                    else:
                        reader.finish(at)
                elif word == "end":
                    self.flows, self.now_ns = tracker.flows(), engine.now_ns
                    if drain:
                        engine.drain()
                events, _ = engine.take_events(None)
                packets = trace.take_packets() if trace is not None else []
                if len(events) or packets:
                    yield Part(events, packets)
        finally:
            for source in sources:
                source.close()
            self.counters = {**reader.counters, **engine.counters}
