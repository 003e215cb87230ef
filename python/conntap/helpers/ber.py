"""Step through BER values (X.690) as strictly, and as loosely, as the kernel does.

Lengths take at most two bytes behind the first and are definite; an outer value is taken for one whether or not its
identifier says so.

Source: kernel lib/asn1_decoder.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.helpers.base import Drop

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["Reader"]

_CONSTRUCTED: Final = 0x20


class Reader:
    """A place in one value's contents."""

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        """Start at the first value between *start* and *end*."""
        self._data = data
        self._at = start
        self._end = len(data) if end is None else end

    def at_end(self) -> bool:
        """Is nothing left?"""
        return self._at >= self._end

    def take(self, identifiers: AbstractSet[int]) -> tuple[int, int, int]:
        """Step over a value: its identifier, where its contents begin, how many bytes they are.

        Raises:
            Drop: it is no such value, or does not fit.
        """
        identifier, start, length = self._header()
        if identifier not in identifiers:
            raise Drop(f"unexpected ASN.1 value {identifier:#x}")
        self._at = start + length
        return identifier, start, length

    def enter(self, identifiers: AbstractSet[int]) -> Reader:
        """Step over a constructed value, and return a reader of what is in it.

        Raises:
            Drop: it is no such value, or does not fit.
        """
        identifier, start, length = self._header()
        if identifier | _CONSTRUCTED not in identifiers:
            raise Drop(f"unexpected ASN.1 value {identifier:#x}")
        self._at = start + length
        return Reader(self._data, start, self._at)

    def finish(self) -> None:
        """See that nothing is left.

        Raises:
            Drop: something is.
        """
        if not self.at_end():
            raise Drop("more ASN.1 values than expected")

    def _header(self) -> tuple[int, int, int]:
        head = self._data[self._at : min(self._at + 4, self._end)]
        size = head[1] & 0x7F if len(head) >= 2 and head[1] & 0x80 else 0
        # Size 0 with the bit set would be an indefinite length.
        if len(head) < 2 or size > 2 or head[1] == 0x80 or len(head) < 2 + size:
            raise Drop("an ASN.1 value is cut off")
        length = int.from_bytes(head[2 : 2 + size], "big") if size else head[1]
        start = self._at + 2 + size
        if length > self._end - start:
            raise Drop("an ASN.1 value is cut off")
        return head[0], start, length
