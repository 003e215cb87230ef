"""The two streams as C's stdio would use them: stdout buffered when it is no terminal, stderr at once."""

from __future__ import annotations

from os import fsencode, isatty, write

from .messages import failure

__all__ = ["Output", "warn"]

_FULL = 64 * 1024


def warn(text: str) -> None:
    """Write to stderr. Words of the command line come out as the bytes they were; a closed stderr is no fault."""
    try:
        write(2, fsencode(text))
    except OSError:
        pass


class Output:
    """A buffered writer on a descriptor. Whole pieces only: what is handed over together is not torn by stderr."""

    __slots__ = ("_descriptor", "_eager", "_held", "_size")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._eager = isatty(descriptor)
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Take `data`; write when there is much of it, or when a person is looking.

        Raises:
            Stop: the stream does not take it (disk full).
        """
        if not data:
            return
        self._held.append(data)
        self._size += len(data)
        if self._eager or self._size >= _FULL:
            self.flush()

    def flush(self) -> None:
        """Write what is held.

        Raises:
            Stop: the stream does not take it (disk full).
        """
        if not self._size:
            return
        rest = memoryview(self._held[0] if len(self._held) == 1 else b"".join(self._held))
        self._held.clear()
        self._size = 0
        try:
            while rest:
                rest = rest[write(self._descriptor, rest) :]
        except OSError as error:
            raise failure(f"Can't write the output: {error.strerror}") from error
