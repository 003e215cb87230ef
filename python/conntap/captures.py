"""Packet captures as a source: pcap and pcapng files, or an interface, through the userspace engine.

What comes out are the kernel's events: everything that reads a recording or the live kernel reads these as well.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.errors import ClosedError, RecordingError
from conntap.files import LINKTYPE_NETLINK, File, open_files
from conntap.filter import as_filter
from conntap.netns import NetNs, path_of
from conntap.tracker import Setup, Tracker

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from conntap.filter import Filter
    from conntap.sent import SentPackets

__all__ = ["COUNTED", "Capture", "Interface"]

#: The kernel's defaults, but with counters and times, which cost nothing here.
COUNTED: Final = Setup(settings={"acct": 1, "timestamp": 1})

#: Bytes read from a file at a time.
CHUNK: Final = 1 << 20
#: Events handed on at a time.
ROWS: Final = 4096
#: How long a packet may lie in the ring before it is seen; so far the clock stays behind while none comes.
RING_DELAY_NS: Final = 1_000_000_000
#: One wait for packets, where nobody says how long.
WAIT_MS: Final = 500


class Capture:
    """One or several capture files, in order of time. Each walk reads them anew (standard input and pipes: once).

    Attributes:
        paths: the files' names.
        counters: of the last walk: frames, rows, losses and omissions by name (docs/commands.md).
        faults: of the last walk: what could not be read, in words.
        sample: None; packets that cannot be read are counted and have no sample.
        now_ns: of the last walk: the time of its last packet, or to which `drain` let it go on.
    """

    __slots__ = ("_drain", "_files", "_setup", "counters", "faults", "now_ns", "paths", "sample")

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        setup: Setup | None = None,
        *,
        drain: bool = False,
        files: Sequence[File] = (),
    ) -> None:
        """Open captures.

        Args:
            paths: pcap or pcapng, plain, gzip or zstd; "-" for standard input.
            setup: what the engine is told; None: the kernel's defaults, with counters and times.
            drain: behind the last packet let time go by until every connection has ended.
            files: the same ones, if they have been looked at already.

        Raises:
            OSError: a file cannot be opened.
            RecordingError: a file is no capture of packets.
            UsageError: *setup* asks for a setting, helper or parameter that does not exist.
        """
        self._files = list(files) or open_files(paths)
        self._setup = setup or COUNTED
        self._drain = drain
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
        engine, reader = tracker.engine, _core.PacketReader(len(self._files))
        writer = sent and sent.writer
        sources = [file.open() for file in self._files]
        self.faults = []
        rows = refused = 0
        try:
            word = ""
            while word != "end":
                word, at, text = engine.run(reader, tracker.ask, ROWS, trace=trace, writer=writer)
                if word == "fault":
                    self._note(f"{self.paths[at]} {text}", reader)
                elif word == "end" and self._drain:
                    engine.drain()
                if sent is not None:
                    sent.flush()
                batch, left = engine.take_events(wanted)
                rows, refused = rows + len(batch), refused + left
                if len(batch):
                    yield batch
                if word != "need":
                    continue
                if data := sources[at].read(CHUNK):
                    reader.feed(at, data)
                else:
                    reader.finish(at)
                    if sources[at].fault:
                        self._note(f"{self.paths[at]} {sources[at].fault}", reader)
        finally:
            for source in sources:
                source.close()
            self.now_ns = engine.now_ns
            self.counters = {**reader.counters, **engine.counters, "rows": rows, "filtered_here": refused}

    def _note(self, fault: str, reader: _core.PacketReader) -> None:
        """Keep what could not be read; files of which nothing could be read are an error."""
        if not reader.counters["frames"]:
            raise RecordingError(fault)
        self.faults.append(fault)

    def events(self, where: str | Filter = "") -> Iterator[_core.Event]:
        """Read the events that match *where*, in the order in which the kernel would have sent them."""
        for batch in self.batches(where):
            yield from batch.events()

    def __iter__(self) -> Iterator[_core.Event]:
        return self.events()

    def arrow(self, where: str | Filter = "") -> _core.ArrowTable:
        """Read the events that match *where* into Arrow columns (docs/fields.md)."""
        columns = _core.ColumnsBuilder()
        for batch in self.batches(where):
            columns.append(batch)
        return columns.finish()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.arrow().__arrow_c_stream__(requested_schema)

    def tables(self) -> tuple[_core.Batch, _core.Batch]:
        """The flow table and the expectation table behind the last packet, as dumps tell them."""
        tracker = Tracker(self._setup)
        for _ in self._walk(tracker):
            pass
        return tracker.flows(), tracker.expectations()


class Interface:
    """An interface's packets, live, through the engine. Needs CAP_NET_RAW in the namespace.

    Attributes:
        tracker: the table.
    """

    __slots__ = ("_capture", "_refused", "_rows", "_seen", "tracker")

    def __init__(
        self,
        name: str,
        setup: Setup | None = None,
        *,
        promiscuous: bool = False,
        netns: NetNs = None,
        ring_bytes: int = 64 << 20,
    ) -> None:
        """Begin to capture.

        Args:
            name: of the interface; "any" is all of them.
            setup: what the engine is told; None: the kernel's defaults, with counters and times.
            promiscuous: also what is addressed to other stations.
            netns: the namespace: a name, a path, a pid; None: this process's own.
            ring_bytes: memory in which packets wait.

        Raises:
            PrivilegeError: needs CAP_NET_RAW.
            NotFoundError: there is no such interface or namespace.
            KernelError: there is no room for the ring.
            UsageError: *setup* asks for a setting, helper or parameter that does not exist.
        """
        self.tracker = Tracker(setup or COUNTED)
        self._capture: _core.PacketCapture | None = _core.PacketCapture(
            None if name == "any" else name, promiscuous=promiscuous, ring_bytes=ring_bytes, netns=path_of(netns)
        )
        self._seen: dict[str, int] = {}
        self._rows = self._refused = 0

    def __enter__(self) -> Interface:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop capturing; counters and table can still be read."""
        if self._capture:
            self._seen = self._capture.counters
        self._capture = None

    @property
    def counters(self) -> dict[str, int]:
        """Frames, rows, losses and omissions by name (docs/commands.md)."""
        seen = self._capture.counters if self._capture else self._seen
        return {**seen, **self.tracker.counters, "rows": self._rows, "filtered_here": self._refused}

    def receive(self, timeout: float | None = None, where: str | Filter = "") -> _core.Batch | None:
        """Wait for packets and return the events that they cause.

        Args:
            timeout: seconds to wait for packets; 0 not at all, None until there is an event.
            where: which events; "" for all.

        Returns:
            A batch with at least one row; None when no packet came in time, or none that caused such an event.

        Raises:
            ClosedError: after `close()`.
        """
        wanted = as_filter(where)
        if timeout is not None:
            return self._receive(max(0, math.ceil(timeout * 1000)), wanted)
        while True:
            batch = self._receive(WAIT_MS, wanted)
            if batch is not None:
                return batch

    def _receive(self, timeout_ms: int, wanted: Filter | None) -> _core.Batch | None:
        if self._capture is None:
            raise ClosedError("this capture is closed", hint="open it anew: Interface(name)")
        engine = self.tracker.engine
        engine.receive(self._capture, self.tracker.ask, timeout_ms)
        engine.advance(_core.now_ns() - RING_DELAY_NS)
        batch, left = engine.take_events(wanted)
        self._rows, self._refused = self._rows + len(batch), self._refused + left
        return batch if len(batch) else None

    def batches(self, where: str | Filter = "") -> Iterator[_core.Batch]:
        """Batches without end, until `close()`."""
        wanted = as_filter(where)
        while self._capture is not None:
            batch = self._receive(WAIT_MS, wanted)
            if batch is not None:
                yield batch

    def events(self, where: str | Filter = "") -> Iterator[_core.Event]:
        """Events without end, until `close()`."""
        for batch in self.batches(where):
            yield from batch.events()

    def __iter__(self) -> Iterator[_core.Event]:
        return self.events()
