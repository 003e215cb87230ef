"""One walk over capture files with the engine: events and traced packets, part by part, and the table at the end.

A story needs two walks that agree. `Capture` hands on events where there are any; here each part of the file is
handed on, so that what was traced of a long transfer need not be kept until its end.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from conntap import _core
from conntap.captures import walk
from conntap.errors import RecordingError, UsageError
from conntap.explain.outgoing import Outgoing
from conntap.files import LINKTYPE_NETLINK, open_files
from conntap.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from conntap.files import File
    from conntap.tracker import Setup

__all__ = ["Part", "Walk", "spooled"]


class Part(NamedTuple):
    """What a stretch of the capture gave.

    Attributes:
        events, packets: in order.
        sent: id() of a packet → its bytes as the gateway sends it; only where it translates.
    """

    events: _core.Batch
    packets: list[_core.TracedPacket]
    sent: dict[int, bytes]


@contextmanager
def spooled(paths: Sequence[str | os.PathLike[str]]) -> Generator[list[str]]:
    """Name files that can be read more than once: standard input and pipes are copied to temporary ones.

    Raises:
        OSError: a file cannot be opened.
        UsageError: standard input is named more than once.
    """
    names = [os.fspath(path) for path in paths]
    if names.count("-") > 1:
        raise UsageError("standard input can be read only once", hint="name '-' once")
    with ExitStack() as stack:
        yield [name if _lasting(name) else _copy(name, stack) for name in names]


def _lasting(name: str) -> bool:
    return name != "-" and stat.S_ISREG(os.stat(name).st_mode)


def _copy(name: str, stack: ExitStack) -> str:
    file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="conntap-", suffix=".pcap"))
    source = sys.stdin.buffer if name == "-" else stack.enter_context(open(name, "rb"))
    shutil.copyfileobj(source, file)
    file.flush()
    return file.name


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
        writer = _core.PacketWriter(pcap=True) if self._setup.nat and trace is not None else None
        outgoing = Outgoing()
        if writer is not None:
            engine.forward_packets()
        try:
            for last in walk(self._open(), self._names, tracker, reader, self.faults, trace=trace, writer=writer):
                if last:
                    self.flows, self.now_ns = tracker.flows(), engine.now_ns
                    if drain:
                        engine.drain()
                events, _ = engine.take_events(None)
                packets = trace.take_packets() if trace is not None else []
                if len(events) or packets:
                    sent = outgoing.match(writer.take_bytes(), packets) if writer is not None else {}
                    yield Part(events, packets, sent)
        finally:
            self.counters = {**reader.counters, **engine.counters}

    def _open(self) -> list[File]:
        try:
            files = open_files(self._paths)
        except RecordingError as error:
            raise RecordingError(self._renamed(str(error)), hint=self._renamed(error.hint)) from error
        for name, file in zip(self._names, files, strict=True):
            if file.linktype == LINKTYPE_NETLINK:
                for opened in files:
                    opened.close()
                hint = f"conntap replay {name}"
                raise RecordingError(f"{name} is a recording of events, not of packets", hint=hint)
        return files

    def _renamed(self, text: str) -> str:
        """Say the name that the user knows."""
        for path, name in zip(self._paths, self._names, strict=True):
            text = text.replace(path, name)
        return text
