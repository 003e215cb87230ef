"""Events and verdicts in words: the engine's and conntrack's, with what the story knows beside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conntap._core import Event, TracedPacket
    from conntap.explain.story import Connection

__all__ = ["events_in_words", "why_in_words"]


def why_in_words(traced: TracedPacket, connection: Connection) -> str:
    """Say why a packet got its verdict."""
    why = re.sub(r"(?<![\w.])\d{4,}(?![\w.])", lambda number: f"{int(number[0]):,}", traced.why)
    if traced.reason == "matches_expectation" and connection.announced_by:
        why = f"expected since packet {connection.announced_by}: a new connection, child of {connection.master}"
    elif traced.reason == "first_packet":
        why = "first packet, no expectation matched"
    if traced.verdict in ("NEW", "RELATED") and connection.helper and traced.flow and traced.flow[1] == 0:
        why += f"; helper {connection.helper} ({connection.protocol}/{connection.original.dport})"
    if traced.verdict == "INVALID" and connection.translated:
        why += "; so it is not translated either"
    return why


def events_in_words(event: Event, announcer: int | None, *, by_packet: bool) -> str:
    """Say what an event of an expectation means; "" for one of a flow."""
    expectation = event.expectation
    if expectation is None:
        return ""
    if event.kind == "EXP_DESTROY":
        what = f"the expectation of packet {announcer}" if announcer else "an expectation"
        return f"{what} is removed" if by_packet else f"{what} ran out: nothing came in time"
    # By whom is told by the packet beside; what follows in parentheses is the name of a function.
    said = re.sub(r", asked for by \S+ → [^\s,]+| \([\w-]+\)$", "", expectation.explain())
    helper, colon, rest = said.partition(": ")
    return f"{helper} helper: {rest}" if colon and helper == expectation.helper else said
