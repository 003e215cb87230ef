"""The live tables that a story is told from, and the gateway's rules where they can be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conntap.errors import KernelError
from conntap.explain.live_words import key_of, lookup_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conntap import _core
    from conntap.gateway.state import Gateway
    from conntap.kernel import Conntrack

__all__ = ["Live", "Told", "gateway_of", "masters_of"]


@dataclass(frozen=True, slots=True)
class Told:
    """One expectation or flow, told.

    Attributes:
        head: what it is, in one line.
        lines: (what it is about, the sentence), in order.
        data: the same for programs.
    """

    head: str
    lines: tuple[tuple[str, str], ...]
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class Live:
    """What stories are told from.

    Attributes:
        flows: the flow table, by the key of the original tuple (`live_words.key_of`); only those that a story may need.
        expectations: all of them.
        gateway: rules, routes, addresses; None where they could not be read.
        why_not: then why.
        settings: of connection tracking, without `nf_conntrack_`, in seconds or as they are.
        now_ns: when the tables were read.
    """

    flows: Mapping[tuple[object, ...], _core.Flow] = field(default_factory=dict[tuple[object, ...], "_core.Flow"])
    expectations: tuple[_core.Expectation, ...] = ()
    gateway: Gateway | None = None
    why_not: str = ""
    settings: Mapping[str, int] = field(default_factory=dict[str, int])
    now_ns: int = 0

    def flow(self, original: _core.Tuple) -> _core.Flow | None:
        """The flow whose original tuple this is."""
        return self.flows.get(key_of(original))

    def children(self, flow: _core.Flow) -> list[_core.Flow]:
        """Flows that were expected by it."""
        key = key_of(flow.original)
        return [one for one in self.flows.values() if one.master is not None and key_of(one.master) == key]

    def expected_by(self, flow: _core.Flow) -> list[_core.Expectation]:
        """Its expectations that still wait."""
        key = key_of(flow.original)
        return [one for one in self.expectations if key_of(one.master) == key]


def masters_of(ct: Conntrack, rows: Sequence[_core.Expectation | _core.Flow]) -> dict[tuple[object, ...], _core.Flow]:
    """Look up the masters, one question each: the flow table may hold millions."""
    found: dict[tuple[object, ...], _core.Flow] = {}
    for row in rows:
        master = row.master
        if master is None or (key := key_of(master)) in found:
            continue
        try:
            found[key] = ct.get(**lookup_fields(master, master.zone))
        except KernelError:
            continue  # gone since the row was read
    return found


def gateway_of(gateway: Gateway) -> tuple[Gateway | None, str]:
    """A gateway whose rules can be asked; or None, and why they cannot."""
    texts = ("nft.json", "iptables-save", "ip6tables-save")
    if any(gateway.texts.get(name) for name in texts):
        return gateway, ""
    return None, "; ".join(dict.fromkeys(gateway.missing[name] for name in texts if name in gateway.missing))
