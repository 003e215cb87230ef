"""A reader of IPFIX and NetFlow v9 messages by another hand: strict about every length, and about sequence numbers."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

OURS = 4_200_000_006
REVERSE = 29_305
VARIABLE = 65_535

ADDRESSES = {8, 12, 225, 226, 27, 28, 281, 282}
RAW = {(OURS, 2)}
TEXTS = {96, 341}

Key = int | tuple[int, int]


@dataclass(frozen=True)
class Template:
    number: int
    fields: tuple[tuple[int, int, int], ...]
    scopes: int = 0

    def keys(self) -> list[Key]:
        return [key_of(enterprise, element) for enterprise, element, _ in self.fields]


@dataclass(frozen=True)
class Record:
    """A data record: values by element number, of other registries by (enterprise, number)."""

    domain: int
    template: int
    values: dict[Key, Any]

    def __getitem__(self, key: Key) -> Any:
        return self.values[key]


@dataclass
class Reader:
    """Reads the messages of one session.

    Attributes:
        templates: by domain and number.
        records: all data records in order.
        options: of these, those of options templates.
        faults: what a sequence number said to be missing.
    """

    templates: dict[tuple[int, int], Template] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    options: list[Record] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    expected: dict[int, int] = field(default_factory=dict)

    def feed(self, messages: Iterable[bytes]) -> Reader:
        for message in messages:
            self.message(message)
        return self

    def flows(self) -> list[Record]:
        return [record for record in self.records if 256 <= record.template < 2304]

    def events(self) -> list[Record]:
        return [record for record in self.records if 2304 <= record.template < 2560]

    def message(self, message: bytes) -> None:
        version, second = struct.unpack_from("!HH", message)
        if version == 10:
            assert second == len(message)
            time, sequence, domain = struct.unpack_from("!III", message, 4)
            body = message[16:]
        else:
            assert version == 9
            _, time, sequence, domain = struct.unpack_from("!IIII", message, 4)
            body = message[20:]
        self.times.append(time)
        if sequence != (expected := self.expected.get(domain, 0)):
            self.faults.append(f"domain {domain}: {sequence} instead of {expected}")
        before, items = len(self.records), 0
        assert body, "an empty message"
        while body:
            number, length = struct.unpack_from("!HH", body)
            assert 4 < length <= len(body)
            content, body = body[4:length], body[length:]
            if number in {0, 2, 3}:
                items += self.template_set(domain, content, options=number == 3)
            else:
                items += self.data_set(domain, number, content)
        if version == 9:
            assert second == items
        self.expected[domain] = (sequence + (len(self.records) - before if version == 10 else 1)) % 2**32

    def template_set(self, domain: int, content: bytes, *, options: bool) -> int:
        count = 0
        while len(content) >= 4:
            number, fields = struct.unpack_from("!HH", content)
            at, scopes, found = 4, 0, []
            if options:
                (scopes,) = struct.unpack_from("!H", content, at)
                at += 2
                assert 1 <= scopes <= fields
            for _ in range(fields):
                element, length = struct.unpack_from("!HH", content, at)
                at += 4
                enterprise = 0
                if element & 0x8000:
                    (enterprise,) = struct.unpack_from("!I", content, at)
                    at += 4
                found.append((enterprise, element & 0x7FFF, length))
            template = Template(number, tuple(found), scopes)
            assert number >= 256
            assert self.templates.setdefault((domain, number), template) == template, "a template was redefined"
            content = content[at:]
            count += 1
        assert not any(content)
        return count

    def data_set(self, domain: int, number: int, content: bytes) -> int:
        template = self.templates[domain, number]
        least = sum(1 if length == VARIABLE else length for _, _, length in template.fields)
        count = 0
        while len(content) >= least:
            values: dict[Key, Any] = {}
            for enterprise, element, length in template.fields:
                if length == VARIABLE:
                    length, content = content[0], content[1:]
                    assert length < 255
                assert len(content) >= length
                key = key_of(enterprise, element)
                assert key not in values
                values[key] = value_of(enterprise, element, content[:length])
                content = content[length:]
            record = Record(domain, number, values)
            self.records.append(record)
            if template.scopes:
                self.options.append(record)
            count += 1
        assert count, "a set without a record"
        assert len(content) < 4
        assert not any(content)
        return count


def key_of(enterprise: int, element: int) -> Key:
    return (enterprise, element) if enterprise else element


def value_of(enterprise: int, element: int, data: bytes) -> Any:
    if not enterprise and element in ADDRESSES:
        return str(IPv4Address(data) if len(data) == 4 else IPv6Address(data))
    if not enterprise and element in TEXTS:
        return data.decode()
    if (enterprise, element) in RAW:
        return data
    return int.from_bytes(data, "big")


def nanoseconds(ntp: int) -> int:
    """An NTP time as collectors read it: rounded down."""
    return ((ntp >> 32) - 2_208_988_800) * 1_000_000_000 + (((ntp & 0xFFFFFFFF) * 1_000_000_000) >> 32)


def read(*calls: list[bytes]) -> Reader:
    """What those messages of one session say."""
    reader = Reader()
    for messages in calls:
        reader.feed(messages)
    return reader
