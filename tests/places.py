"""Where the records of each sink arrive, for tests/contract/test_record_sinks.py.

A new sink needs a place (how its records are read back, and how its receiver goes away) and a line in `PLACES`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import zstandard

import ledgers
from conntap.sinks.csv_lines import CsvSink
from conntap.sinks.jsonl import JsonlSink
from conntap.sinks.parquet import ParquetSink
from conntap.sinks.syslog import JournaldSink, SyslogSink
from receivers import TLS, LocalReceiver, Receiver, StreamReceiver, UdpReceiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conntap.sinks.base import Sink


class Place(Protocol):
    """Outlives its sinks, as a disk or another machine does.

    Attributes:
        exact: after a failure no record comes twice.
        losses: the sink's counters of records that did not arrive.
    """

    exact: bool
    losses: tuple[str, ...]

    def sink(self) -> Sink:
        """A sink that writes here, not yet opened."""
        ...

    def numbers(self, expected: int) -> list[int]:
        """Numbers of the records that arrived, in order; waits for *expected* of them."""
        ...

    def go(self) -> None:
        """Be away."""
        ...

    def come(self) -> None:
        """Be there again."""
        ...

    def close(self) -> None:
        """The test is over."""
        ...


class FilePlace:
    """A file. When it is away there is no room for it to grow."""

    exact = True
    losses = ()

    def __init__(self, path: Path, kind: Callable[..., Sink], **options: Any) -> None:
        self.path, self._kind, self._options = path, kind, options
        self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def sink(self) -> Sink:
        return self._kind(str(self.path), **self._options)

    def numbers(self, expected: int) -> list[int]:
        data = self.path.read_bytes()
        if self.path.suffix == ".gz":
            data = gzip.decompress(data)
        elif self.path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
        lines = data.decode().splitlines()
        if ".csv" in self.path.suffixes:
            return [int(row["seq"]) for row in csv.DictReader(lines)]
        return [json.loads(line)["seq"] for line in lines]

    def go(self) -> None:
        # A few bytes more than it has: a write that is only partly possible.
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.path.stat().st_size + 100, self._limit[1]))

    def come(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)

    def close(self) -> None:
        self.come()


class LedgerPlace:
    """The embedded ledger. When it is away no file can grow beyond some bytes."""

    exact = True
    losses = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def sink(self) -> Sink:
        return ParquetSink(f"parquet:{self.path}", str(self.path), keep_ids=True)

    def numbers(self, expected: int) -> list[int]:
        return sorted(ledgers.numbers(self.path))

    def go(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, self._limit[1]))

    def come(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)

    def close(self) -> None:
        self.come()


class MessagePlace:
    """A log daemon. Syslog confirms nothing, so that records may come twice after a failure."""

    exact = False
    losses = ("too_long",)

    def __init__(self, receiver: Receiver, make: Callable[[Any], Sink]) -> None:
        self.receiver, self._make = receiver, make

    def sink(self) -> Sink:
        return self._make(self.receiver)

    def numbers(self, expected: int) -> list[int]:
        return self.receiver.numbers(expected)

    def go(self) -> None:
        self.receiver.go()

    def come(self) -> None:
        self.receiver.come()

    def close(self) -> None:
        with suppress(OSError):
            self.receiver.go()


def syslog(receiver: Any, **options: Any) -> Sink:
    return SyslogSink("127.0.0.1", port=receiver.port, hostname="gw", **options)


PLACES: dict[str, Callable[[Path], Place]] = {
    "jsonl": lambda tmp: FilePlace(tmp / "flows.jsonl", JsonlSink),
    "jsonl, chosen fields": lambda tmp: FilePlace(tmp / "flows.jsonl", JsonlSink, fields=["seq", "kind", "orig_src"]),
    "jsonl gzip": lambda tmp: FilePlace(tmp / "flows.jsonl.gz", JsonlSink),
    "jsonl zstd": lambda tmp: FilePlace(tmp / "flows.jsonl.zst", JsonlSink),
    "csv": lambda tmp: FilePlace(tmp / "flows.csv", CsvSink),
    "csv gzip": lambda tmp: FilePlace(tmp / "flows.csv.gz", CsvSink),
    "parquet": lambda tmp: LedgerPlace(tmp / "ledger"),
    "syslog udp": lambda _: MessagePlace(UdpReceiver(), syslog),
    "syslog udp, rfc 3164": lambda _: MessagePlace(UdpReceiver(), lambda at: syslog(at, format="rfc3164")),
    "syslog tcp": lambda _: MessagePlace(StreamReceiver(), lambda at: syslog(at, transport="tcp")),
    "syslog tcp, lines": lambda _: MessagePlace(
        StreamReceiver(lf=True), lambda at: syslog(at, transport="tcp", framing="lf")
    ),
    "syslog tls": lambda _: MessagePlace(
        StreamReceiver(tls=True), lambda at: syslog(at, transport="tls", ca=str(TLS / "cert.pem"))
    ),
    "syslog unix": lambda tmp: MessagePlace(
        LocalReceiver(tmp / "log"), lambda at: SyslogSink(str(at.path), transport="unix", hostname="gw")
    ),
    "journald": lambda tmp: MessagePlace(LocalReceiver(tmp / "journal"), lambda at: JournaldSink(str(at.path))),
}
