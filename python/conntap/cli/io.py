"""`IO`: the outside of a command. Tests pass their own streams and a fixed width."""

from __future__ import annotations

import os
import select
import sys
from typing import BinaryIO, TextIO

__all__ = ["IO"]

#: What messages have beyond ASCII.
IN_ASCII = str.maketrans({"·": "-", "→": "->", "…": "...", "⊕": "(+)", "⊖": "(-)"})


class IO:
    """Where a command writes, and what it may assume about who reads.

    Attributes:
        out: data; bytes.
        err: everything else.
        is_tty: a person reads `out`.
        width: columns of the terminal, 0 where there is none.
        color: ANSI colours are welcome on `out`.
        ascii: only ASCII signs.
        debug: show tracebacks and samples.
        stuck: a write was given up half way, since nobody read; no more can be written.
    """

    __slots__ = ("ascii", "color", "debug", "err", "is_tty", "out", "stuck", "width")

    def __init__(
        self,
        *,
        out: BinaryIO,
        err: TextIO,
        is_tty: bool = False,
        width: int = 0,
        color: bool = False,
        ascii: bool = False,
        debug: bool = False,
    ) -> None:
        self.out = out
        self.err = err
        self.is_tty = is_tty
        self.width = width
        self.color = color
        self.ascii = ascii
        self.debug = debug
        self.stuck = False

    @classmethod
    def of_process(cls) -> IO:
        """The process's own streams, as terminal, locale and NO_COLOR say."""
        is_tty = sys.stdout.isatty()
        width = os.get_terminal_size(sys.stdout.fileno()).columns if is_tty else 0
        encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
        return cls(
            out=sys.stdout.buffer,
            err=sys.stderr,
            is_tty=is_tty,
            width=width,
            color=is_tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
            ascii=encoding not in ("utf8", "utf_8"),
        )

    def write(self, data: bytes) -> None:
        """Write data and hand it on at once: a reader of events waits for them."""
        rest = memoryview(data)
        while rest:
            # With PYTHONUNBUFFERED this is the bare file, which may take only a part.
            rest = rest[self.out.write(rest) :]
        self.out.flush()

    def abandoned(self) -> bool:
        """Has the reader of `out` gone? Told without writing, so that a quiet stream need not wait for an event."""
        try:
            descriptor = self.out.fileno()
        except OSError:
            return False
        watched = select.poll()
        watched.register(descriptor, 0)  # POLLERR and POLLHUP come unasked
        return bool(watched.poll(0))

    def say(self, text: str) -> None:
        """Tell the person something that is not data."""
        if self.ascii:
            text = text.translate(IN_ASCII)
        print(text, file=self.err, flush=True)
