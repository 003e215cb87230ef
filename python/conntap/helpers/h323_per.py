"""Aligned PER (ITU-T X.691), as much as H.323 needs, and read the way Linux reads it.

A type walks over its encoding and yields a `Value` for what somebody wants to know; everything else is passed over.
Three habits of the kernel's decoder are kept, since a message must have the same effect here and there:

- the contents of an open type may reach beyond its stated length, as long as they stay in the message;
- an addition that is newer than the description is taken to be there, whatever the bitmap says;
- a bitmap whose last bit is the 32nd counted from the octet where it begins is read from that octet's first bit.

Source: kernel net/netfilter/nf_conntrack_h323_asn1.c, each verified on 6.18. Nothing here recurses deeper than the
description, and `Reader` limits how many parts a message may have: an item of a list can be as short as one octet and
make its reader walk over all that follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LENGTH",
    "OCTET",
    "WORD",
    "Addition",
    "Bits",
    "Choice",
    "Field",
    "FixedOctets",
    "LongNumber",
    "Malformed",
    "Number",
    "Opaque",
    "Place",
    "Reader",
    "Seconds",
    "Sequence",
    "SequenceOf",
    "Sized",
    "Type",
    "Value",
    "optional",
    "required",
]

#: How `Sized` may count, beside a number of bits: an octet, two octets, a PER length determinant.
OCTET: Final = -1
WORD: Final = -2
LENGTH: Final = -3

# A bitmap of additions longer than this is refused; the kernel keeps it in 32 bits.
_MOST_ADDITIONS: Final = 32
# Parts (sequences, choices, items) that a message of so many octets may have; honest ones have at most one an octet.
_PARTS_FREE: Final = 512
_PARTS_PER_OCTET: Final = 2


class Malformed(Exception):
    """The octets are no message of this type."""


@dataclass(slots=True)
class Value:
    """What was found.

    Attributes:
        number: an integer, or where in the message octets begin.
        chosen: name of a choice's alternative; empty where the description does not name it.
        parts: components of a sequence, or the one of a choice, that yield values.
        items: of a list.
    """

    number: int = 0
    chosen: str = ""
    parts: dict[str, Value] = field(default_factory=dict)
    items: list[Value] = field(default_factory=list)

    def at(self, *path: str) -> Value | None:
        """The value below, by the names of components and alternatives; None if one of them is not there."""
        found: Value | None = self
        for name in path:
            if found is None:
                return None
            found = found.parts.get(name)
        return found

    def all(self, *path: str) -> list[Value]:
        """The items of the list below; none if it is not there."""
        found = self.at(*path)
        return found.items if found else []


class Reader:
    """A position in a message. Every method that moves it raises `Malformed` rather than leave the message."""

    __slots__ = ("_bits", "_data", "_parts", "position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        """Read *data* from octet *start* up to octet *end*; offsets that are reported count from 0."""
        last = len(data) if end is None else end
        self._data = data
        self._bits = 8 * last
        self._parts = _PARTS_FREE + _PARTS_PER_OCTET * (last - start)
        self.position = 8 * start

    def part(self) -> None:
        """Count one part."""
        self._parts -= 1
        if self._parts < 0:
            raise Malformed

    def need(self, bits: int = 0) -> None:
        """Check that so many bits follow."""
        if self.position + bits > self._bits:
            raise Malformed

    def need_octets(self, octets: int) -> None:
        """Check that so many whole octets follow."""
        if (self.position + 7) // 8 + octets > self._bits // 8:
            raise Malformed

    def skip(self, bits: int) -> None:
        """Pass over so many bits."""
        self.position += bits
        self.need()

    def align(self) -> None:
        """Go on to the next whole octet."""
        self.position = (self.position + 7) & ~7

    def bits(self, count: int) -> int:
        """Read an unsigned number."""
        self.need(count)
        first, self.position = self.position, self.position + count
        last = (self.position + 7) >> 3
        number = int.from_bytes(self._data[first >> 3 : last]) >> (8 * last - self.position)
        return number & ((1 << count) - 1)

    def octet(self) -> int:
        """Read the octet here, which need not be aligned: the kernel does not look at the bits before."""
        self.need_octets(1)
        octet = self._data[self.position >> 3]
        self.position += 8
        return octet

    def length(self) -> int:
        """Read a length determinant; two octets must be there even where one says it."""
        self.need_octets(2)
        return self._length()

    def open_type(self, *, may_end: bool = False) -> int:
        """Read the length of an open type and check that it is there.

        Args:
            may_end: the length may be the message's last octet: the kernel asks for two, except here and there.

        Returns:
            The position behind it.
        """
        octets = self._length() if may_end else self.length()
        self.need_octets(octets)
        return self.position + 8 * octets

    def _length(self) -> int:
        first = self.octet()
        return (first & 0x3F) << 8 | self.octet() if first & 0x80 else first

    def bitmap(self, count: int) -> int:
        """Read which components are there, first one in the highest of *count* bits."""
        begins = self.position & 7
        if begins + count != _MOST_ADDITIONS:
            return self.bits(count)
        self.need(count)
        self.position &= ~7
        return self.bits(_MOST_ADDITIONS) >> begins


class Type(Protocol):
    """How something is encoded."""

    def read(self, reader: Reader, *, keep: bool) -> Value | None:
        """Walk over it; with *keep* return what is wanted of it.

        Raises:
            Malformed: it is not that.
        """
        ...


@dataclass(frozen=True, slots=True)
class Bits:
    """A boolean, a small integer, an enumeration, or several in a row: so many bits; none is NULL."""

    count: int

    def read(self, reader: Reader, *, keep: bool) -> None:
        """Pass over it."""
        reader.skip(self.count)


@dataclass(frozen=True, slots=True)
class Number:
    """An integer of 256 and up to 65,536 values: whole octets."""

    octets: int

    def read(self, reader: Reader, *, keep: bool) -> None:
        """Pass over it."""
        reader.align()
        reader.skip(8 * self.octets)


@dataclass(frozen=True, slots=True)
class LongNumber:
    """An integer of more values, up to 2³²: two bits say how many octets."""

    def read(self, reader: Reader, *, keep: bool) -> None:
        """Pass over it."""
        octets = _long(reader)
        reader.skip(8 * octets)


@dataclass(frozen=True, slots=True)
class Seconds:
    """A time to live, 1 to 2³² s: a `LongNumber` whose value is wanted.

    The kernel then passes over as many octets again, so a message that ends here is malformed to it.
    """

    def read(self, reader: Reader, *, keep: bool) -> Value | None:
        """Read it."""
        octets = _long(reader)
        if not keep:
            reader.skip(8 * octets)
            return None
        value = Value(number=(reader.bits(8 * octets) + 1) & 0xFFFF_FFFF)
        reader.skip(8 * octets)
        return value


def _long(reader: Reader) -> int:
    octets = reader.bits(2) + 1
    reader.need_octets(octets)
    reader.align()
    return octets


@dataclass(frozen=True, slots=True)
class FixedOctets:
    """An octet string of one size; two octets and less are not aligned."""

    octets: int

    def read(self, reader: Reader, *, keep: bool) -> None:
        """Pass over it."""
        if self.octets > 2:
            reader.align()
        reader.skip(8 * self.octets)


@dataclass(frozen=True, slots=True)
class Place:
    """An octet string of one size whose place in the message is wanted: an address."""

    octets: int

    def read(self, reader: Reader, *, keep: bool) -> Value | None:
        """Note where it is."""
        reader.align()
        begins = reader.position // 8
        reader.skip(8 * self.octets)
        return Value(number=begins) if keep else None


@dataclass(frozen=True, slots=True)
class Sized:
    """A string: a count, then so many units.

    Attributes:
        count: how the count is written: a number of bits, `OCTET`, `WORD` or `LENGTH`.
        unit: bits of one character.
        least: what a count of 0 means.
    """

    count: int
    unit: int = 8
    least: int = 0

    def read(self, reader: Reader, *, keep: bool) -> None:
        """Pass over it."""
        if self.count > 0:
            units = reader.bits(self.count)
            reader.align()
        else:
            reader.align()
            if self.count == LENGTH:
                units = reader.length()
            else:
                units = reader.bits(-8 * self.count)
        reader.skip((units + self.least) * self.unit)


@dataclass(frozen=True, slots=True)
class Opaque:
    """An open type that nobody wants, in a sequence's root."""

    def read(self, reader: Reader, *, keep: bool) -> None:
        """Pass over it."""
        reader.position = reader.open_type()


class Field(NamedTuple):
    """A component of a sequence's root, or an alternative of a choice's root (None: the rest is left unread)."""

    name: str
    type: Type | None
    optional: bool = False


class Addition(NamedTuple):
    """A component or alternative that came with a later version and is wanted (None: only whether it is chosen)."""

    name: str
    type: Type | None


def required(name: str, kind: Type) -> Field:
    """A component that is always there."""
    return Field(name, kind)


def optional(name: str, kind: Type) -> Field:
    """A component that may be missing."""
    return Field(name, kind, optional=True)


class Sequence:
    """A SEQUENCE."""

    __slots__ = ("_additions", "_extensible", "_fields", "_known", "_options", "_unread", "_unread_from")

    def __init__(
        self,
        *fields: Field,
        extensible: bool = False,
        known: int = 0,
        additions: Mapping[int, Addition] | None = None,
        options: int | None = None,
        unread_from: int | None = None,
    ) -> None:
        """Describe it.

        Args:
            fields: the root.
            extensible: later versions may add components.
            known: how many they are known to have added.
            additions: which of them are wanted, by index.
            options: how many optional components the root has, where *fields* does not name all of them: then what
                follows them is left unread.
            unread_from: from which addition on the rest is left unread.
        """
        self._fields = fields
        self._options = sum(one.optional for one in fields) if options is None else options
        self._unread = options is not None
        self._extensible = extensible
        self._known = known
        self._additions = additions or {}
        self._unread_from = known if unread_from is None else unread_from

    def read(self, reader: Reader, *, keep: bool) -> Value:
        """Walk over it."""
        reader.part()
        reader.need(1)
        extended = self._extensible and reader.bits(1)
        present = reader.bitmap(self._options) if self._options else 0
        value = Value()
        bit = self._options
        for one in self._fields:
            if one.optional:
                bit -= 1
                if not present >> bit & 1:
                    continue
            found = one.type.read(reader, keep=keep) if one.type else None
            if found is not None:
                value.parts[one.name] = found
        if extended and not self._unread:
            self._read_additions(reader, value, keep=keep)
        return value

    def _read_additions(self, reader: Reader, value: Value, *, keep: bool) -> None:
        count = reader.bits(7) + 1
        if count > _MOST_ADDITIONS:
            raise Malformed
        present = reader.bitmap(count)
        reader.align()
        for index in range(count):
            if index < self._known:
                if index >= self._unread_from:
                    return
                if not present >> (count - 1 - index) & 1:
                    continue
            end = reader.open_type()
            wanted = self._additions.get(index) if keep else None
            if wanted is not None and wanted.type and (found := wanted.type.read(reader, keep=True)) is not None:
                value.parts[wanted.name] = found
            reader.position = end


class SequenceOf:
    """A SEQUENCE OF: a length determinant, then so many items."""

    __slots__ = ("_item", "_limit", "_open")

    def __init__(self, item: Type, *, limit: int = 0, opened: bool = False) -> None:
        """Describe it.

        Args:
            item: what it is a list of.
            limit: how many of them are wanted.
            opened: each is an open type.
        """
        self._item = item
        self._limit = limit
        self._open = opened

    def read(self, reader: Reader, *, keep: bool) -> Value | None:
        """Walk over it."""
        reader.align()
        value = Value()
        limit = self._limit if keep else 0
        for index in range(reader.length()):
            reader.part()
            end = None
            if self._open:
                reader.align()
                end = reader.open_type()
            if end is None or limit:
                found = self._item.read(reader, keep=index < limit)
                if found is not None and index < limit:
                    value.items.append(found)
            if end is not None:
                reader.position = end
        return value if limit else None


class Choice:
    """A CHOICE."""

    __slots__ = ("_additions", "_extensible", "_known", "_root", "_unread_additions")

    def __init__(
        self,
        *root: Field,
        extensible: bool = False,
        known: int = 0,
        additions: Mapping[int, Addition] | None = None,
        unread_additions: bool = False,
    ) -> None:
        """Describe it.

        Args:
            root: the alternatives of the first version; one without a type is left unread.
            extensible: later versions may add alternatives.
            known: how many they are known to have added.
            additions: which of them are wanted, counted from the first addition.
            unread_additions: those that are known are left unread.
        """
        self._root = root
        self._extensible = extensible
        self._known = known
        self._additions = additions or {}
        self._unread_additions = unread_additions

    def read(self, reader: Reader, *, keep: bool) -> Value:
        """Walk over it."""
        reader.part()
        reader.need(1)
        if self._extensible and reader.bits(1):
            return self._read_addition(reader, reader.bits(7), keep=keep)
        index = reader.bits((len(self._root) - 1).bit_length())
        if index >= len(self._root):
            raise Malformed
        one = self._root[index]
        return _chosen(one.name, one.type.read(reader, keep=keep) if one.type else None)

    def _read_addition(self, reader: Reader, index: int, *, keep: bool) -> Value:
        wanted = self._additions.get(index)
        if index < self._known and self._unread_additions:
            return _chosen(wanted.name if wanted else "", None)
        reader.align()
        end = reader.open_type(may_end=index < self._known)
        found = wanted.type.read(reader, keep=keep) if keep and wanted and wanted.type else None
        reader.position = end
        return _chosen(wanted.name if wanted else "", found)


def _chosen(name: str, found: Value | None) -> Value:
    value = Value(chosen=name)
    if found is not None:
        value.parts[name] = found
    return value
