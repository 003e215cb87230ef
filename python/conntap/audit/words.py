"""Facts as sentences: ports, who may come, and once what happened."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.audit.assigned import Assignment
    from conntap.audit.view import Opening, View
    from conntap.rules.model import Span

__all__ = ["listed", "port_texts", "ports_text", "protocol", "sentence", "worst"]

PROTOCOLS: Final = {6: "TCP", 17: "UDP", 47: "GRE", 1: "ICMP", 58: "ICMPv6"}


def protocol(number: int) -> str:
    """A transport protocol's name."""
    return PROTOCOLS.get(number, f"protocol {number}")


def port_texts(spans: Iterable[Span], dash: str) -> list[str]:
    """Each span of ports as text, its ends with a dash between."""
    return [str(one.first) if one.first == one.last else f"{one.first}{dash}{one.last}" for one in spans]


def ports_text(spans: Iterable[Span]) -> str:
    """Spans of ports as text: "1024–65535", "20, 1024–2000"."""
    return ", ".join(port_texts(spans, "–"))


def listed(words: Iterable[str], last: str = "and") -> str:
    """Words as a list of prose: "a, b and c"."""
    every = list(dict.fromkeys(words))
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} {last} {every[-1]}" if every else ""


def trigger(one: Assignment) -> str:
    """What the host does that opens it."""
    where = "of such a server" if one.servers else "anywhere"
    port = f"port {', '.join(port_texts(one.ports, '-'))}" if one.ports else "any port"
    return f"once that host opens a connection to {port} {where}"


def who(opening: Opening) -> str:
    """Who may come."""
    if opening.wild:
        return "any host in the internet"
    if opening.expected.source == "subnet":
        return "any host of the subnet that was asked"
    if opening.assignment.servers:
        return f"the {opening.helper.name} server that it is assigned for"
    return f"any {opening.helper.name} server that a host inside is made to contact"


def where(opening: Opening, view: View) -> str:
    """On which host."""
    if network := view.sides.network(opening.inside, opening.nfproto):
        if ipaddress.ip_network(network).num_addresses == 1:
            return f"on {network.partition('/')[0]}"
        return f"on a host of {network}"
    return f"on a host behind {opening.inside}"


def sentence(opening: Opening, view: View) -> str:
    """Who can do what to whom, for how long, once what happened."""
    spans = opening.ports or opening.unsure
    may = "may open" if opening.ports else "can perhaps open"
    what = protocol(opening.expected.l4proto)
    if opening.expected.l4proto in (6, 17):
        what += f" {ports_text(spans)}"
    return (
        f"{who(opening)} {may} {what} {where(opening, view)} for {opening.expected.seconds} s "
        f"{trigger(opening.assignment)}"
    )


def worst(openings: Iterable[Opening]) -> Opening | None:
    """The opening that lets in most: certain before doubtful, anybody before the server, more ports before fewer."""
    return max(
        openings,
        key=lambda one: (bool(one.ports), one.wild, sum(span.last - span.first for span in one.ports)),
        default=None,
    )
