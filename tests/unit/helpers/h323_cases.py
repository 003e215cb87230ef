"""Conversations and messages in H.323, and what the kernel made of them: tests/data/helpers."""

from __future__ import annotations

import json
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from conntap.helpers.base import Drop, Expect, Tuple
from conntap.helpers.h323 import H245, Q931, Ras
from conntap.helpers.testing import FakeConnection, FakeExpectation

if TYPE_CHECKING:
    from conntap.helpers.base import Helper

DIRECTORY = Path(__file__).parents[2] / "data/helpers"
FILE = DIRECTORY / "h323.json"
WALKS = DIRECTORY / "h323_walks.jsonl"
HELPERS: dict[str, type[Helper]] = {helper.name: helper for helper in (Ras, Q931, H245)}
DEFAULT_TIMEOUT = 240

Case = dict[str, Any]


class Walk(NamedTuple):
    """A random message, and what the kernel expected then: protocols and ports."""

    helper: type[Helper]
    direction: int
    payload: bytes
    kernel: list[list[int]]

    def expected(self) -> list[list[int]]:
        """What our helper expects."""
        l4proto = self.helper.l4protos[0]
        held = FakeConnection("10.0.1.2", 50000, "10.0.2.2", self.helper.port or 11000, l4proto=l4proto)
        self.helper().packet(held.packet(self.payload, direction=self.direction))
        return [[entry.wanted.l4proto, entry.wanted.dport] for entry in held.table]


def walks(helper: type[Helper]) -> list[Walk]:
    """Those of one helper."""
    rows = map(json.loads, WALKS.read_text().splitlines())
    return [
        Walk(helper, row["direction"], bytes.fromhex(row["payload"]), row["expects"])
        for row in rows
        if row["helper"] == helper.name
    ]


@cache
def _all() -> list[Case]:
    return json.loads(FILE.read_text())["cases"]


def translated(case: Case) -> bool:
    """Is it a conversation through NAT?"""
    return case["original"] != [*case["reply"][2:], *case["reply"][:2]]


def names(helper: type[Helper], *, nat: bool) -> list[str]:
    """Those of one helper, with or without NAT."""
    return [case["name"] for case in _all() if case["helper"] == helper.name and translated(case) == nat]


def get(name: str) -> Case:
    """The conversation of that name."""
    return next(case for case in _all() if case["name"] == name)


def payload(name: str, packet: int = 0) -> bytes:
    """One of its messages."""
    return bytes.fromhex(get(name)["packets"][packet]["payload"])


def payloads(helper: type[Helper]) -> list[bytes]:
    """All messages that one helper reads."""
    found = (
        bytes.fromhex(one["payload"]) for case in _all() if case["helper"] == helper.name for one in case["packets"]
    )
    return [each for each in found if each]


def flow(l4proto: int, words: list[Any]) -> Tuple:
    """A tuple as the file writes it."""
    src, sport, dst, dport = words
    return Tuple(ip_address(src), ip_address(dst), l4proto, sport, dport)


def connection(case: Case) -> FakeConnection:
    """The connection that it was held through."""
    src, sport, dst, dport = case["original"]
    reply = flow(case["l4proto"], case["reply"])
    made = FakeConnection(src, sport, dst, dport, l4proto=case["l4proto"], reply=reply)
    made.expected = case["expected"]
    return made


def describe(wanted: Expect) -> dict[str, Any]:
    """An expectation as the file writes it."""
    told: dict[str, Any] = {
        "src": str(wanted.src) if wanted.src else None,
        "dst": str(wanted.dst),
        "l4proto": wanted.l4proto,
        "dport": wanted.dport,
        "permanent": wanted.permanent,
    }
    if nat := wanted.nat:
        saved = str(nat.saved_addr) if nat.saved_addr else None
        told["nat"] = {
            "direction": nat.direction,
            "saved_port": nat.saved_port,
            "saved_addr": saved,
            "function": nat.function,
        }
    return told


def hold(name: str) -> None:
    """Hold the conversation: our helper must do at each packet what the kernel did."""
    case = get(name)
    held = connection(case)
    reader = HELPERS[case["helper"]](case["options"])
    for number, recorded in enumerate(case["packets"]):
        _packet(held, reader, recorded, f"packet {number}")


def _packet(held: FakeConnection, reader: Helper, recorded: dict[str, Any], which: str) -> None:
    before = list(held.table)
    held.refuse = list(recorded.get("refuse", []))
    held.log.clear()
    sent = bytes.fromhex(recorded["payload"])
    packet = held.packet(sent, direction=recorded["direction"], state=recorded["state"])
    left: bytes | None
    try:
        reader.packet(packet)
        left = packet.payload
    except Drop:
        left = None
    made = [entry for entry in held.table if entry not in before]
    assert [describe(entry.wanted) for entry in made] == recorded["expects"], which
    forwarded = recorded["forwarded"]
    assert left == (sent if forwarded == "same" else forwarded and bytes.fromhex(forwarded)), which
    if "removes" in recorded:
        gone = [entry.wanted for entry in reversed(before) if entry not in held.table]
        assert [[str(one.dst), one.dport] for one in gone] == recorded["removes"], which
    _timeouts(held, recorded, which)
    for child in recorded.get("children", []):
        fulfilled = expectation_of(held, flow(child["l4proto"], child["original"]))
        assert fulfilled.wanted.helper == child["helper"], which


def _timeouts(held: FakeConnection, recorded: dict[str, Any], which: str) -> None:
    """The kernel's are read a moment later, so up to a second less."""
    if "timeout" in recorded and held.log:
        assert held.log[-1][0] == "refresh", which
        assert held.log[-1][1] in (recorded["timeout"], recorded["timeout"] + 1), which
    for port, left in recorded.get("expectation_timeouts", {}).items():
        entry = next(entry for entry in held.table if entry.wanted.dport == int(port))
        assert (entry.left or DEFAULT_TIMEOUT) in (left, left + 1), which


def expectation_of(held: FakeConnection, child: Tuple) -> FakeExpectation:
    """The newest expectation that this flow fulfils."""
    return next(entry for entry in reversed(held.table) if entry.matches(child))
