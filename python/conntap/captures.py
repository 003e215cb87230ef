"""Packet captures as a source: pcap and pcapng files through the userspace engine, to the events of the kernel.

Everything that reads a recording or the live kernel reads these as well.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.errors import RecordingError
from conntap.files import Source, open_source
from conntap.filter import as_filter
from conntap.netns import NetNs, path_of
from conntap.tracker import Setup, Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conntap.filter import Filter

__all__ = ["LINKTYPE_NETLINK", "Capture", "Interface"]

LINKTYPE_NETLINK: Final = 253

#: Bytes read from a file at a time.
CHUNK: Final = 1 << 20
#: Events handed on at a time.
ROWS: Final = 4096
#: How long a packet may lie in the ring; so far the clock stays behind while none comes.
RING_DELAY_NS: Final = 1_000_000_000


class Capture:
    """One or several capture files, in order of time. Each walk reads them anew (standard input: once).

    Attributes:
        counters: of the last walk: frames, rows, losses and omissions by name.
        faults: of the last walk: what could not be read, in words.
        sample: None; packets that cannot be read are counted and have no sample.
        now_ns: of the last walk: time of its last packet.
    """

    __slots__ = ("_drain", "_setup", "_sources", "counters", "faults", "now_ns", "paths", "sample")

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        setup: Setup | None = None,
        *,
        drain: bool = False,
        sources: Sequence[Source] = (),
    ) -> None:
        """Take files; *drain*: behind the last packet let time go by until every connection has ended."""
        self.paths = [os.fspath(path) for path in paths]
        self._setup = setup or Setup(settings={"acct": 1, "timestamp": 1})
        self._drain = drain
        self._sources = list(sources)
        self.counters: dict[str, int] = {}
        self.faults: list[str] = []
        self.sample: tuple[str, bytes] | None = None
        self.now_ns = 0

    def batches(
        self,
        where: str | Filter = "",
        *,
        trace: _core.Trace | None = None,
        writer: _core.PacketWriter | None = None,
    ) -> Iterator[_core.Batch]:
        """Read the events that match *where*.

        Args:
            where: which events; "" for all.
            trace: keeps what the engine thought of each packet.
            writer: takes each packet as the gateway sends it.

        Raises:
            FilterError: *where* does not parse.
            RecordingError: a file is no capture.
        """
        wanted = as_filter(where)
        tracker = Tracker(self._setup)
        if writer is not None:
            tracker.engine.forward_packets()
        yield from self._walk(tracker, wanted, trace, writer)

    def _walk(
        self,
        tracker: Tracker,
        wanted: Filter | None,
        trace: _core.Trace | None,
        writer: _core.PacketWriter | None,
    ) -> Iterator[_core.Batch]:
        engine, reader = tracker.engine, _core.PacketReader(len(self.paths))
        sources, self._sources = self._sources or [open_source(path) for path in self.paths], []
        self.faults = []
        rows = refused = 0
        try:
            done = False
            while not done:
                word, at, text = engine.run(reader, tracker.ask, ROWS, trace=trace, writer=writer)
                if word == "fault":
                    self._note(f"{self.paths[at]} {text}", reader)
                elif word == "end":
                    done = True
                    if self._drain:
                        engine.drain()
                batch, left = engine.take_events(wanted)
                rows, refused = rows + len(batch), refused + left
                if len(batch):
                    yield batch
                if word == "need":
                    data = sources[at].read(CHUNK)
                    if data:
                        reader.feed(at, data)
                    else:
                        reader.finish(at)
        finally:
            for source in sources:
                source.close()
            self.now_ns = engine.now_ns
            self.counters = {**reader.counters, **engine.counters, "rows": rows, "filtered_here": refused}

    def _note(self, fault: str, reader: _core.PacketReader) -> None:
        """Keep what could not be read; a file of which nothing could be read is an error."""
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
        for _ in self._walk(tracker, None, None, None):
            pass
        return tracker.flows(), tracker.expectations()


class Interface:
    """An interface's packets, live, through the engine. Needs CAP_NET_RAW in the namespace.

    Attributes:
        tracker: the table.
    """

    __slots__ = ("_capture", "_refused", "_rows", "tracker")

    def __init__(
        self,
        name: str,
        setup: Setup | None = None,
        *,
        promiscuous: bool = False,
        netns: NetNs = None,
        ring_bytes: int = 64 << 20,
    ) -> None:
        """Begin to capture; "any" is all interfaces.

        Raises:
            PrivilegeError: needs CAP_NET_RAW.
            KernelError: there is no such interface, or no room for the ring.
        """
        path = path_of(netns)
        self.tracker = Tracker(setup or Setup(settings={"acct": 1, "timestamp": 1}))
        self._capture = _core.PacketCapture(
            None if name == "any" else name, promiscuous=promiscuous, ring_bytes=ring_bytes, netns=path
        )
        self._rows = self._refused = 0

    def __enter__(self) -> Interface:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held but the socket, which ends with the object."""

    @property
    def counters(self) -> dict[str, int]:
        """Frames, rows, losses and omissions by name."""
        return {
            **self._capture.counters, **self.tracker.counters, "rows": self._rows, "filtered_here": self._refused
        }  # fmt: skip

    def receive(self, timeout_ms: int, where: str | Filter = "") -> _core.Batch | None:
        """Wait for packets, at most so long; return the events that match, None where there are none."""
        engine = self.tracker.engine
        engine.receive(self._capture, self.tracker.ask, timeout_ms)
        engine.advance(_core.now_ns() - RING_DELAY_NS)
        batch, left = engine.take_events(as_filter(where))
        self._rows, self._refused = self._rows + len(batch), self._refused + left
        return batch if len(batch) else None

    def batches(self, where: str | Filter = "") -> Iterator[_core.Batch]:
        """Batches without end."""
        wanted = as_filter(where) or ""
        while True:
            batch = self.receive(500, wanted)
            if batch is not None:
                yield batch
