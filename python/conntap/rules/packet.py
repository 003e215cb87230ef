"""A packet that goes through a rule set, and the answer: which destination ports get through, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from conntap.rules.model import ANY_PORT, Span

if TYPE_CHECKING:
    from conntap.rules.model import Hook, Rule

__all__ = ["Answer", "Asked", "Step"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A packet, or all packets that differ in nothing but the destination port.

    None: nothing is said of it, and where a rule asks for it, it cannot be told. What follows from the rest is known
    without being said: a first TCP packet is a SYN; what is forwarded is unicast, to no address of the gateway; of a
    first packet that is not translated the connection's original addresses are its own.

    Attributes:
        hook: forward, input …
        nfproto: 4 or 6.
        iifname, oifname: interfaces.
        saddr, daddr: as the rules of that hook see them (behind DNAT, before SNAT), as integers.
        l4proto: number.
        sport: one.
        dports: those asked about.
        ct_state: "new", "related", "established", "invalid".
        ct_helper: of a RELATED packet the master's helper; "" none.
        ct_status: words that hold ("expected", "dnat").
        more: further fields of `model.FIELDS` with their value.
    """

    hook: Hook
    nfproto: int
    iifname: str | None = None
    oifname: str | None = None
    saddr: int | None = None
    daddr: int | None = None
    l4proto: int | None = 6
    sport: int | None = None
    dports: tuple[Span, ...] = (ANY_PORT,)
    ct_state: str | None = "new"
    ct_helper: str | None = ""
    ct_status: frozenset[str] = frozenset()
    more: dict[str, int | str] = field(default_factory=dict[str, "int | str"])


@dataclass(frozen=True, slots=True)
class Step:
    """A rule (or, where `rule` is None, a chain's policy) that decided for some of the ports."""

    verdict: Literal["accept", "drop", "unsure"]
    ports: tuple[Span, ...]
    chain: str
    rule: Rule | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of the ports asked about; the three have no port in common and are sorted.

    Attributes:
        accepted: they pass every base chain of the hook.
        dropped: some base chain drops or rejects them.
        unsure: a rule decides that cannot be told: not understood, by chance, a set that grows, something not said.
        steps: the rules that decided, in order; of an accepted port all accepting ones (each base chain's).
        reasons: why it is unsure, in words, each once.
    """

    accepted: tuple[Span, ...]
    dropped: tuple[Span, ...]
    unsure: tuple[Span, ...]
    steps: tuple[Step, ...]
    reasons: tuple[str, ...] = ()
