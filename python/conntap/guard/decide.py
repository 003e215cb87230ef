"""Is an announced connection allowed, which line says so, and why: a pure function of policy, subject and state."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol

from conntap.guard.policy import BUILT_IN, base_name
from conntap.guard.subject import show_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.guard.policy import Network, Policy, Said, Section, Spans
    from conntap.guard.subject import Subject

__all__ = ["Decision", "Judge", "NoState", "State", "decide"]

#: Protocols whose tuples have ports: TCP, UDP, SCTP, DCCP, UDP-Lite.
WITH_PORTS: Final = frozenset({6, 17, 132, 33, 136})
#: Answers that are kept.
KEPT: Final = 65_536


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer.

    Attributes:
        allowed: yes or no.
        rule: which line decided: `guard.toml:12 ports`.
        reason: why, in a sentence.
    """

    allowed: bool
    rule: str
    reason: str


class State(Protocol):
    """What an answer may depend on besides the policy."""

    def open_of(self, subject: Subject) -> int:
        """How many approved expectations the master's host has open with this helper, this one not counted."""
        ...

    def reply_of(self, subject: Subject) -> tuple[bytes, bytes] | None:
        """Source and destination of the master's reply direction: the real server, and what the client is seen as."""
        ...


class NoState:
    """Nothing is open, and no master is known."""

    def open_of(self, subject: Subject) -> int:
        return 0

    def reply_of(self, subject: Subject) -> tuple[bytes, bytes] | None:
        return None


def decide(policy: Policy, subject: Subject, state: State) -> Decision:
    """Return the first line of the policy that refuses, or the one that allows."""
    refused = decide_static(policy, subject, state)
    return refused if not refused.allowed else decide_count(policy, subject, state) or refused


def decide_count(policy: Policy, subject: Subject, state: State) -> Decision | None:
    """The part that changes from one to the next: how many at once."""
    section = section_of(policy, subject)
    limit = section.per_master
    if (count := state.open_of(subject)) >= limit.value:
        who = show_address(subject.master_src)
        return no(limit, "per_master", f"{who} has {count} open already, and {limit.value} are allowed at once")
    return None


def section_of(policy: Policy, subject: Subject) -> Section:
    """The section of a helper, or of what it is called without its port."""
    if subject.helper in policy.sections:
        return policy.sections[subject.helper]
    return policy.section(base_name(subject.helper))


def decide_static(policy: Policy, subject: Subject, state: State) -> Decision:
    """The part that is the same for all that are alike."""
    section = section_of(policy, subject)
    for refused in (
        helper_refused(policy, section, subject),
        always_refused(policy, subject),
        master_refused(section, subject, state),
        ends_refused(section, subject, state),
        port_refused(section.ports, subject),
    ):
        if refused:
            return refused
    what = f"section of {section.name}" if section.name else "default"
    rule = f"{section.place} {what}" if section.place != BUILT_IN else BUILT_IN
    return Decision(True, rule, "nothing speaks against it")


def no(said: Said[Any], key: str, reason: str) -> Decision:
    return Decision(False, f"{said.place} {key}", reason)


def helper_refused(policy: Policy, section: Section, subject: Subject) -> Decision | None:
    if subject.helper in policy.denied.helpers.value or base_name(subject.helper) in policy.denied.helpers.value:
        return no(policy.denied.helpers, "deny.helpers", f"helper {subject.helper} is denied always")
    if not policy.knows(subject.helper) and not policy.knows(base_name(subject.helper)):
        return no(policy.helpers, "helpers", f"helper '{subject.helper}' is not known")
    if not section.allow.value:
        what = f"helper {section.name} may announce nothing" if section.name else "what has no section is refused"
        return no(section.allow, "allow", what)
    return None


def always_refused(policy: Policy, subject: Subject) -> Decision | None:
    denied = policy.denied
    if found := holding(denied.masters.value, subject.master_src):
        return no(denied.masters, "deny.masters", f"master {show_address(subject.master_src)} is in {found}")
    if found := holding(denied.destinations.value, subject.dst):
        return no(denied.destinations, "deny.destinations", f"destination {show_address(subject.dst)} is in {found}")
    if subject.protocol in WITH_PORTS and denied.ports.value and in_spans(denied.ports.value, subject.dport):
        return no(denied.ports, "deny.ports", "its port is denied always")
    return None


def master_refused(section: Section, subject: Subject, state: State) -> Decision | None:
    if section.masters.value and not holding(section.masters.value, subject.master_src):
        return no(section.masters, "masters", f"master {show_address(subject.master_src)} is in none of its networks")
    if section.servers.value and not holding(section.servers.value, subject.master_dst):
        who = show_address(subject.master_dst)
        reply = state.reply_of(subject)
        if reply is None or not holding(section.servers.value, reply[0]):
            return no(section.servers, "servers", f"server {who} is in none of its networks")
    if section.nat.value:
        reply = state.reply_of(subject)
        if reply is None:
            return no(section.nat, "nat", "the announcing connection is not in the table: its NAT is not known")
        seen_as = reply[1]
        if seen_as == subject.master_src:
            if "none" not in section.nat.value:
                return no(section.nat, "nat", f"master {show_address(subject.master_src)} is not translated")
        elif not holding(section.nat.value, seen_as):
            return no(
                section.nat, "nat", f"the master is translated to {show_address(seen_as)}, in none of its networks"
            )
    return None


def ends_refused(section: Section, subject: Subject, state: State) -> Decision | None:
    """Who may use it, and whom it leads to."""
    sources, destinations = section.sources, section.destinations
    if subject.anyone and "any" not in sources.value and not any_covers(sources.value, subject):
        return no(sources, "sources", f"anyone may connect to {show_address(subject.dst)}: its source is a wildcard")
    client, server = (subject.master_src,), (subject.master_dst,)
    known = subject.dst in (*client, *server) and subject.src in (*client, *server)
    # The client as it is seen outside, the server as it is inside: only the table of flows knows.
    if not known and (reply := state.reply_of(subject)) is not None:
        client, server = (*client, reply[1]), (*server, reply[0])
    to_client, to_server = subject.dst in client, subject.dst in server
    if not (
        (to_client and "client" in destinations.value)
        or (to_server and "server" in destinations.value)
        or holding(destinations.value, subject.dst)
    ):
        what = "the announcing client" if to_client else "the announcing server" if to_server else "a third party"
        return no(destinations, "destinations", f"it leads to {show_address(subject.dst)}, {what}")
    if "any" in sources.value or any_covers(sources.value, subject):
        return None
    if not subject.exact:
        return no(
            sources, "sources", f"a whole network may connect to {show_address(subject.dst)}: its source is masked"
        )
    peers = (server if to_client else ()) + (client if to_server else ())
    if "peer" in sources.value and (subject.src in peers or (not peers and subject.src in (*client, *server))):
        return None
    return no(sources, "sources", f"{show_address(subject.src)} is not the other end of the announcing connection")


def any_covers(sources: Iterable[Network | str], subject: Subject) -> bool:
    """Does one of the networks hold every host that may use it?"""
    mask = int.from_bytes(subject.src_mask, "big")
    low, bits = int.from_bytes(subject.src, "big") & mask, mask.bit_count()
    return any(not isinstance(one, str) and covers(one, low, bits, len(subject.src)) for one in sources)


def port_refused(ports: Said[Spans], subject: Subject) -> Decision | None:
    if subject.protocol in WITH_PORTS and not in_spans(ports.value, subject.dport):
        allowed = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ports.value)
        return no(ports, "ports", f"its port is not in {allowed}")
    return None


def in_spans(spans: Spans, port: int) -> bool:
    return any(low <= port <= high for low, high in spans)


def covers(network: Network, low: int, bits: int, width: int) -> bool:
    """Does the network hold all of the masked address?"""
    if network.max_prefixlen != width * 8 or bits < network.prefixlen:
        return False
    return low & int(network.netmask) == int(network.network_address)


def holding(networks: Iterable[Network | str], address: bytes) -> Network | None:
    """The first of the networks that holds the address."""
    if len(address) not in (4, 16):
        return None
    value = ip_address(address)
    for network in networks:
        if not isinstance(network, str) and value in network:
            return network
    return None


class Judge:
    """Decides, and remembers what is alike: helper, master's hosts, source, destination, and the class of the port.

    An answer for which the master's NAT had to be looked up is not kept: the next master's may differ.
    """

    __slots__ = ("_asked", "_edges", "_kept", "hits", "misses", "policy", "state")

    def __init__(self, policy: Policy, state: State) -> None:
        self.policy = policy
        self.state = state
        self._edges = policy.boundaries()
        self._kept: dict[tuple[object, ...], Decision] = {}
        self._asked = False
        self.hits = self.misses = 0

    def decide(self, subject: Subject) -> Decision:
        """As `decide`."""
        (helper, protocol, src, src_mask, _, _, dst, dport, master_src, master_dst, _, _, _, zone) = subject
        port = bisect_right(self._edges, dport)
        key = (helper, protocol, src, src_mask, dst, port, master_src, master_dst, zone)
        found = self._kept.get(key)
        if found is None:
            self.misses += 1
            self._asked = False
            found = decide_static(self.policy, subject, self)
            if not self._asked:
                if len(self._kept) >= KEPT:
                    self._kept.clear()
                self._kept[key] = found
        else:
            self.hits += 1
        if found.allowed:
            return decide_count(self.policy, subject, self.state) or found
        return found

    def open_of(self, subject: Subject) -> int:
        return self.state.open_of(subject)

    def reply_of(self, subject: Subject) -> tuple[bytes, bytes] | None:
        """Ask the state, and note that it was asked."""
        self._asked = True
        return self.state.reply_of(subject)
