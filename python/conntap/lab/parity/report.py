"""The result of a comparison, and how it is told to a person."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.summary import describe, one_line
from conntap.netlink import ATTRIBUTES_AT, NESTED, SUBSYSTEM_EXP, TYPE, attributes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conntap.lab.parity.compare import Difference
    from conntap.lab.parity.run import Run

__all__ = ["Report", "attribute_differences", "message_text"]

#: A packet is shown so far.
SHOWN_BYTES: Final = 64

_HEADLINES: Final = {
    "events": "different events",
    "forwarded": "a different packet leaves",
    "verdict": "a different state",
    "table": "a different table afterwards",
    "flow": "one flow has a different history",
    "identity": "the id of an entry changes in its life",
    "length": "the runs have different numbers of packets",
}

#: Names of attributes, first level. Source: linux/netfilter/nfnetlink_conntrack.h.
_FLOW_NAMES: Final = {
    1: "CTA_TUPLE_ORIG", 2: "CTA_TUPLE_REPLY", 3: "CTA_STATUS", 4: "CTA_PROTOINFO", 5: "CTA_HELP", 7: "CTA_TIMEOUT",
    8: "CTA_MARK", 9: "CTA_COUNTERS_ORIG", 10: "CTA_COUNTERS_REPLY", 12: "CTA_ID", 14: "CTA_TUPLE_MASTER",
    15: "CTA_SEQ_ADJ_ORIG", 16: "CTA_SEQ_ADJ_REPLY", 18: "CTA_ZONE", 20: "CTA_TIMESTAMP", 22: "CTA_LABELS",
    24: "CTA_SYNPROXY", 27: "CTA_TIMESTAMP_EVENT",
}  # fmt: skip
_EXPECTATION_NAMES: Final = {
    1: "CTA_EXPECT_MASTER", 2: "CTA_EXPECT_TUPLE", 3: "CTA_EXPECT_MASK", 4: "CTA_EXPECT_TIMEOUT", 5: "CTA_EXPECT_ID",
    6: "CTA_EXPECT_HELP_NAME", 7: "CTA_EXPECT_ZONE", 8: "CTA_EXPECT_FLAGS", 9: "CTA_EXPECT_CLASS",
    10: "CTA_EXPECT_NAT", 11: "CTA_EXPECT_FN",
}  # fmt: skip

#: Attributes whose values are each tracker's own.
_IDS: Final = ("CTA_ID:", "CTA_EXPECT_ID:")


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison found.

    Attributes:
        packets: how many packets both subjects got.
        messages: how many messages the first subject sent of them.
        difference: the first difference; None when there is none.
        skipped: why packets of the capture were left out → how many.
        names: what the two subjects are called.
        runs: both runs, for who wants to look closer.
    """

    packets: int
    messages: int
    difference: Difference | None
    runs: tuple[Run, Run]
    skipped: dict[str, int] = field(default_factory=dict[str, int])
    names: tuple[str, str] = ("kernel", "engine")

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.difference is None

    @property
    def forwarded(self) -> int:
        """How many packets the first subject forwarded."""
        return sum(len(step.answer.forwarded or ()) for step in self.runs[0].steps)

    def sums(self) -> str:
        """Say what was compared, and what was left out."""
        left_out = "".join(f"; left out: {count:,} {reason}" for reason, count in self.skipped.items())
        return f"{self.packets:,} packets, {self.messages:,} events, {self.forwarded:,} forwarded{left_out}"

    def text(self) -> str:
        """Describe the result: one line when equal, else the first difference and the packet that caused it."""
        if self.difference is None:
            return f"equal: {self.sums()}\n"
        difference = self.difference
        lines = [f"{_HEADLINES[difference.what]} {self._where(difference.step)}"]
        both = zip(self.names, (difference.expected, difference.actual), strict=True)
        for name, parts in both:
            lines.append(f"  {name}:")
            mark = difference.at if difference.what in ("flow", "events") and len(parts) > 1 else -1
            shown = _shown(difference.what, parts)
            lines += [f"  {'>' if index == mark else ' '} {line}" for index, line in enumerate(shown)]
        lines += [f"  differs in {line}" for line in self._detail(difference)]
        return "\n".join(lines) + f"\ncompared: {self.sums()}\n"

    def _where(self, step: int) -> str:
        steps = self.runs[0].steps
        if step == len(steps):
            return "after the last packet"
        if step > len(steps):
            return "at the final flush"
        packet, sent = steps[step].packet, (steps[step].sent_ns - steps[0].sent_ns) / 1e9
        return f"at packet {packet.number} (+{sent:.3f} s)\n  {one_line(packet)}"

    def _detail(self, difference: Difference) -> list[str]:
        if difference.at >= min(len(difference.expected), len(difference.actual)):
            return []
        one, two = difference.expected[difference.at], difference.actual[difference.at]
        if difference.what in ("events", "flow", "table"):
            return [line for line in attribute_differences(one, two) if not line.startswith(_IDS)]
        if difference.what == "forwarded":
            at = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
            return [f"byte {at}: {one[at : at + 16].hex(' ')} ≠ {two[at : at + 16].hex(' ')}"]
        return []


def _start(part: bytes) -> str:
    return part[:SHOWN_BYTES].hex(" ") + (" …" if len(part) > SHOWN_BYTES else "")


def message_text(raw: bytes) -> str:
    """Return a message as the `conntrack` command shows it, or as hex where it has no text."""
    from conntap import _core

    line = _core.Formatter("conntrack", id=True).format(_core.Batch.of([(raw, 0)])).decode(errors="replace").strip("\n")
    return line or raw.hex()


def attribute_differences(one: bytes, two: bytes) -> list[str]:
    """Name the attributes in which two messages differ, each by its path of numbers, with both values as hex."""
    here, there = _by_path(one), _by_path(two)
    found: list[str] = []
    if one[4:8] != two[4:8]:
        found.append(f"type and flags: {one[4:8].hex()} ≠ {two[4:8].hex()}")
    for path in [*here, *(path for path in there if path not in here)]:
        a, b = here.get(path), there.get(path)
        if a != b:
            found.append(f"{path}: {'absent' if a is None else a.hex()} ≠ {'absent' if b is None else b.hex()}")
    if not found and list(here) != list(there):
        found.append(f"order of attributes: {' '.join(here)} ≠ {' '.join(there)}")
    return found


def _shown(what: str, parts: list[bytes]) -> list[str]:
    if not parts:
        return ["nothing"]
    if what == "forwarded":
        return [f"{describe(part)}: {_start(part)}" for part in parts]
    if what == "verdict":
        return [part.decode() for part in parts]
    return [message_text(part) for part in parts]


def _by_path(message: bytes) -> dict[str, bytes]:
    """All values of a message by path, in order."""
    names = _EXPECTATION_NAMES if int.from_bytes(message[4:6], sys.byteorder) >> 8 == SUBSYSTEM_EXP else _FLOW_NAMES
    found: dict[str, bytes] = {}
    for path, value in _flat(message[ATTRIBUTES_AT:], names):
        while path in found:
            path += " again"
        found[path] = value
    return found


def _flat(data: bytes, names: Mapping[int, str]) -> Iterator[tuple[str, bytes]]:
    for kind, payload in attributes(data):
        if kind < 0:
            yield "rest", payload
            continue
        name = names.get(kind & TYPE, str(kind & TYPE))
        if kind & NESTED:
            for path, value in _flat(payload, {}):
                yield f"{name}.{path}", value
        else:
            yield name, payload
