"""Packet captures as a source: pcap and pcapng files through the userspace engine, to the kernel's events.

Everything that reads a recording or the live kernel reads these as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.errors import RecordingError
from conntap.files import LINKTYPE_NETLINK, File, open_files
from conntap.filter import as_filter
from conntap.rows import Rows
from conntap.tracker import COUNTED, Setup, Tracker

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from conntap.filter import Filter
    from conntap.pairing import Seen
    from conntap.sent import SentPackets

__all__ = ["Capture", "walk"]

#: Bytes read from a file at a time.
CHUNK: Final = 1 << 16
#: Events handed on at a time.
ROWS: Final = 4096


class Capture(Rows):
    """One or several capture files, in order of time. Each walk reads them anew (standard input and pipes: once).

    Attributes:
        paths: the files' names.
        counters: of the last walk: frames, rows, losses and omissions by name (docs/commands.md).
        faults: of the last walk: what could not be read, in words.
        sample: None; packets that cannot be read are counted and have no sample.
        seen: what both sides of a gateway told, if the files are such.
        now_ns: of the last walk: the time of its last packet, or to which `drain` let it go on.
    """

    __slots__ = ("_drain", "_files", "_setup", "counters", "faults", "now_ns", "paths", "sample", "seen")

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        setup: Setup | None = None,
        *,
        drain: bool = False,
        files: Sequence[File] = (),
        seen: Seen | None = None,
    ) -> None:
        """Open captures.

        Args:
            paths: pcap or pcapng, plain, gzip or zstd; "-" for standard input.
            setup: what the engine is told; None: the kernel's defaults, with counters and times.
            drain: behind the last packet let time go by until every connection has ended.
            files: the same ones, if they have been looked at already.
            seen: what `conntap.pairing.pair` found in the same files: they are the sides of one gateway, each packet is
                tracked once, and connections are translated as the gateway translated them.

        Raises:
            OSError: a file cannot be opened.
            RecordingError: a file is no capture of packets.
            UsageError: *setup* asks for a setting, helper or parameter that does not exist.
        """
        self._files = list(files) or open_files(paths)
        self._setup = setup or COUNTED
        self._drain = drain
        self.seen = seen
        self.paths = [file.name for file in self._files]
        self.counters: dict[str, int] = {}
        self.faults: list[str] = []
        self.sample: tuple[str, bytes] | None = None
        self.now_ns = 0
        try:
            self._check()
        except BaseException:
            for file in self._files:
                file.close()
            raise

    def _check(self) -> None:
        """Tell what is wrong now, and not at the first packet."""
        for file in self._files:
            if file.linktype == LINKTYPE_NETLINK:
                hint = f"conntap replay {file.name}"
                raise RecordingError(f"{file.name} is a recording of events, not of packets", hint=hint)
        Tracker(self._setup)

    def batches(
        self,
        where: str | Filter = "",
        *,
        trace: _core.Trace | None = None,
        sent: SentPackets | None = None,
    ) -> Iterator[_core.Batch]:
        """Read the events that match *where*, some thousand at a time.

        Args:
            where: which events; "" for all.
            trace: keeps what the engine thought of each packet.
            sent: takes each packet as the gateway sends it.

        Raises:
            FilterError: *where* does not parse.
            RecordingError: nothing of the files could be read.
        """
        wanted = as_filter(where)
        tracker = Tracker(self._setup)
        if sent is not None:
            tracker.engine.forward_packets()
        yield from self._walk(tracker, wanted, trace, sent)

    def _walk(
        self,
        tracker: Tracker,
        wanted: Filter | None = None,
        trace: _core.Trace | None = None,
        sent: SentPackets | None = None,
    ) -> Iterator[_core.Batch]:
        engine, pairing = tracker.engine, self.seen and self.seen.pairing
        reader = _core.PacketReader(len(self._files), pairing=pairing)
        if pairing is not None:
            engine.learn(pairing)
        self.faults = []
        rows = refused = 0
        try:
            steps = walk(
                self._files, self.paths, tracker, reader, self.faults, trace=trace, writer=sent and sent.writer
            )
            for last in steps:
                if last and self._drain:
                    engine.drain()
                if sent is not None:
                    sent.flush()
                batch, left = engine.take_events(wanted)
                rows, refused = rows + len(batch), refused + left
                if len(batch):
                    yield batch
        finally:
            self.now_ns = engine.now_ns
            self.counters = {**reader.counters, **engine.counters, "rows": rows, "filtered_here": refused}

    def tables(self) -> tuple[_core.Batch, _core.Batch]:
        """The flow table and the expectation table behind the last packet, as dumps tell them."""
        tracker = Tracker(self._setup)
        for _ in self._walk(tracker):
            pass
        return tracker.flows(), tracker.expectations()


def walk(
    files: Sequence[File],
    names: Sequence[str],
    tracker: Tracker,
    reader: _core.PacketReader,
    faults: list[str],
    *,
    trace: _core.Trace | None = None,
    writer: _core.PacketWriter | None = None,
) -> Iterator[bool]:
    """Let the packets of files through an engine; yields at each stop on the way, True behind the last packet.

    Whatever waits is to be taken at each stop: before more of a pipe is waited for.

    Args:
        files: opened here, and closed.
        names: how faults call them.
        tracker: the engine.
        reader: of so many inputs.
        faults: what could not be read is added, in words.
        trace: keeps what the engine thought of each packet.
        writer: takes each packet as the gateway sends it.

    Raises:
        OSError: a file cannot be opened.
        RecordingError: nothing of the files could be read.
    """

    def note(fault: str) -> None:
        if not reader.counters["frames"]:
            raise RecordingError(fault)
        faults.append(fault)

    sources = [file.open() for file in files]
    try:
        word = ""
        while word != "end":
            word, at, text = tracker.engine.run(reader, tracker.ask, ROWS, trace=trace, writer=writer)
            if word == "fault":
                note(f"{names[at]} {text}")
            yield word == "end"
            if word != "need":
                continue
            if data := sources[at].read(CHUNK):
                reader.feed(at, data)
            else:
                reader.finish(at)
                if sources[at].fault:
                    note(f"{names[at]} {sources[at].fault}")
    finally:
        for source in sources:
            source.close()
