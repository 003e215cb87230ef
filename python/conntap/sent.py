"""The packets that the engine's gateway sends, as a capture file: what `conntap replay IN -w OUT` writes."""

from __future__ import annotations

import os

from conntap import _core
from conntap.errors import UsageError

__all__ = ["SentPackets"]


class SentPackets:
    """A new capture file (raw IP) for packets as the gateway sends them: translated, and without those it drops.

    An existing file is not overwritten unless *overwrite* is set. The file is whole after `close()`; what was
    written before a crash is readable.

    Attributes:
        writer: the core's own object; `Capture.batches(sent=…)` hands it to the engine.
    """

    __slots__ = ("_file", "writer")

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Begin a file: pcap if its name ends in .pcap or .cap, else pcapng.

        Raises:
            UsageError: it exists.
            OSError: it cannot be written.
        """
        name = os.fspath(path)
        system = os.uname()
        self.writer = _core.PacketWriter(
            pcap=name.endswith((".pcap", ".cap")),
            hardware=system.machine,
            os=f"{system.sysname} {system.release}",
            comment="packets as the userspace engine sends them",
        )
        try:
            self._file = open(name, "wb" if overwrite else "xb")
        except FileExistsError:
            raise UsageError(f"{name} exists", hint="choose another name, or --overwrite") from None

    def __enter__(self) -> SentPackets:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def flush(self) -> None:
        """Hand what has come since the last time to the operating system."""
        data = self.writer.take_bytes()
        if data:
            self._file.write(data)
            self._file.flush()

    @property
    def count(self) -> int:
        """Packets so far."""
        return self.writer.count

    def close(self) -> None:
        """Write what is left and close the file; closing twice is allowed."""
        if self._file.closed:
            return
        try:
            self._file.write(self.writer.finish())
        finally:
            self._file.close()
