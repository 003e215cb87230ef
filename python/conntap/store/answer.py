"""What `who` answers: the hosts inside, their bindings and flows, and how sure the ledger is of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from conntap.store.catalog import Gap

__all__ = ["Answer", "Candidate", "Certainty", "Endpoint"]

Certainty: TypeAlias = Literal[
    "complete", "still open", "end unknown", "inside withheld", "open flows not known", "a gap overlaps"
]


class Endpoint(NamedTuple):
    """An address and its port (of ICMP the id). A part that the ledger does not tell is None."""

    address: IPv4Address | IPv6Address | None
    port: int | None

    def __str__(self) -> str:
        if self.address is None:
            return "(not kept)" if self.port is None else f"(not kept):{self.port}"
        if self.port is None:
            return str(self.address)
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One connection that had the address (and port) within the time asked for.

    Attributes:
        role: how it had the address: as "source" (translated or not), "dialled" (it was dialled there and destination
            NAT sent it elsewhere), "inside" (it is the host or server behind NAT itself).
        host: who it was: the source inside; of a dialled address the server that answered.
        outside: what the world saw of that: the binding's other end.
        remote: the other party; None where the ledger does not keep it.
        start_ns, stop_ns: its life. stop_ns is None while it is open.
        stop_after_ns: when it was last known alive, where its end was not seen.
        end: "seen", "open" (it goes on) or "unknown".
        sure: it was certainly there at the time asked for; not only within the skew, nor perhaps.
        why_not: the reason where it is not sure.
    """

    role: Literal["source", "dialled", "inside"]
    host: Endpoint
    outside: Endpoint
    remote: Endpoint | None
    l4proto: int
    protocol: str
    nat: str | None
    zone: int
    start_ns: int | None
    stop_ns: int | None
    stop_after_ns: int | None
    start_from: str | None
    end: Literal["seen", "open", "unknown"]
    sure: bool
    why_not: str
    exporter: str | None
    domain: int | None
    fields: dict[str, Any] = field(compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""

        def end(point: Endpoint | None) -> dict[str, Any] | None:
            return point and {"address": point.address and str(point.address), "port": point.port}

        made: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__ if name != "fields"}
        made |= {name: end(getattr(self, name)) for name in ("host", "outside", "remote")}
        return made | {name: value for name, value in self.fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    Attributes:
        candidates: connections that fit, the sure ones first, then by start.
        gaps: what the ledger does not know within the time asked for.
        known: the time around it of which the ledger knows everything; None where a gap overlaps.
        open_known: connections that are open are known. Not so in a copy without the logger's journal.
        damaged: files that could not be read; each is a gap too.
        withheld: what is left out for privacy of what is in no segment yet, in words; "" where that is nothing.
        ambiguous: one address and port at one time, and more than one host: only the destination would tell them apart.
    """

    address: str
    port: int | None
    protocol: str | None
    from_ns: int
    to_ns: int
    skew_ns: int
    candidates: tuple[Candidate, ...]
    gaps: tuple[Gap, ...]
    known: tuple[int | None, int | None] | None
    open_known: bool = True
    damaged: tuple[str, ...] = ()
    withheld: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Addresses of the hosts that it was, each once."""
        return tuple(dict.fromkeys(str(found.host.address) for found in self.candidates))

    @property
    def ambiguous(self) -> bool:
        return self.from_ns == self.to_ns and self.port is not None and len(self.hosts) > 1

    @property
    def certainty(self) -> Certainty:
        """How sure, by the weakest part."""
        if self.gaps:
            return "a gap overlaps"
        if not self.open_known:
            return "open flows not known"
        if self.withheld and (not self.candidates or any(found.host.address is None for found in self.candidates)):
            return "inside withheld"
        if any(found.end == "unknown" and not found.sure for found in self.candidates):
            return "end unknown"
        if any(found.end == "open" for found in self.candidates):
            return "still open"
        return "complete"

    @property
    def certain(self) -> bool:
        """Nothing is missing, nobody is there only perhaps, and there is no second host."""
        return self.certainty in ("complete", "still open") and not self.ambiguous

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "address": self.address,
            "port": self.port,
            "protocol": self.protocol,
            "from_ns": self.from_ns,
            "to_ns": self.to_ns,
            "skew_ns": self.skew_ns,
            "certainty": self.certainty,
            "certain": self.certain,
            "ambiguous": self.ambiguous,
            "hosts": list(self.hosts),
            "candidates": [found.as_dict() for found in self.candidates],
            "gaps": [gap.as_dict() for gap in self.gaps],
            "known": self.known and list(self.known),
            "damaged": list(self.damaged),
            **({"withheld": self.withheld} if self.withheld else {}),
        }
