"""Files of messages, one behind the other (RFC 5655): plain, gzip or zstd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.errors import RecordingError
from conntap.files import open_source

if TYPE_CHECKING:
    from conntap.collector.place import Place

__all__ = ["MessageFile"]

CHUNK: Final = 1 << 20


class MessageFile:
    """A file, read once.

    Attributes:
        ended: all has been read.
        faults: why it could not be read to its end, in words.
    """

    def __init__(self, place: Place) -> None:
        """Open it.

        Raises:
            OSError: it cannot be opened.
            RecordingError: it begins with no IPFIX message.
        """
        self.place = place
        self.ended = False
        self.faults: list[str] = []
        self.counters = {"bytes": 0}
        self._source = open_source(place.path)
        self._rest = b""
        head = self._source.peek(2)[:2]
        if head != b"\x00\x0a":
            self._source.close()
            what = "holds no IPFIX messages" if head else "is empty"
            raise RecordingError(f"{place.path} {what}", hint="RFC 5655: messages one behind the other")

    def read(self, reader: _core.IpfixReader) -> _core.Batch:
        """Read the next part; behind the last one come the gaps that are known by then."""
        data = self._source.read(CHUNK)
        self.counters["bytes"] += len(data)
        batch, used, fault = reader.feed_stream(self._rest + data, self.place.path)
        self._rest = (self._rest + data)[used:]
        if data and not fault:
            return batch
        self.ended = True
        parts = [batch, reader.end(self.place.path)]
        fault = fault or self._source.fault or ("ends within a message" if self._rest else "")
        if fault:
            self.faults.append(f"{self.place.path}: {fault}")
            last = batch.last_received_ns or 0
            parts.append(_core.Batch.gap("damage", last, last))
        self.close()
        return _core.Batch.concat(parts)

    def close(self) -> None:
        """Close it."""
        self.ended = True
        self._source.close()
