"""What is known of the packet that is asked about, field by field.

Source: net/netfilter/nft_ct.c (nft_ct_get_eval: without an entry the state is "invalid" and every other field is
absent; without a master there is no helper), nft_meta.c, nft_fib.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from conntap.rules.fits import ABSENT, Holding

if TYPE_CHECKING:
    from conntap.rules.fits import Known
    from conntap.rules.packet import Asked

__all__ = ["WORDS", "Facts", "World"]

#: Connections are looked up at this priority of prerouting and output.
TRACKING: Final = -200
#: An unread statement may have changed anything but these.
LASTING: Final = frozenset({"iifname", "oifname", "nfproto", "l4proto", "ct_state", "iiftype"})
#: What `ct status` of an entry is known from its state.
FIRST: Final = frozenset({"new", "related"})
ICMP: Final = frozenset({1, 58})
#: Fields in words, for reasons.
WORDS: Final = {
    "iifname": "the interface it comes in by",
    "oifname": "the interface it leaves by",
    "iiftype": "the kind of interface it comes in by",
    "saddr": "the source address",
    "daddr": "the destination address",
    "l4proto": "the transport protocol",
    "sport": "the source port",
    "dport": "the destination port",
    "icmp_type": "the type of ICMP",
    "tcp_flags": "the flags of TCP",
    "ct_state": "the connection's state",
    "ct_status": "the connection's status",
    "ct_helper": "the connection's helper",
    "ct_protocol": "the connection's transport protocol",
    "ct_direction": "the direction within the connection",
    "ct_mark": "the connection's mark",
    "ct_zone": "the connection's zone",
    "ct_original_saddr": "the connection's original source",
    "ct_original_daddr": "the connection's original destination",
    "ct_original_dport": "the connection's original destination port",
    "mark": "the packet's mark",
    "fib_daddr_type": "what the destination is to the routing table",
    "fib_saddr_oif": "whether there is a route back",
    "pkttype": "the type of packet",
}


class World(NamedTuple):
    """What rules have changed so far. None: not known.

    Attributes:
        mark, ct_mark, ct_zone: as the next rule sees them.
        untracked: a rule said `notrack`.
        changed: a rule that is not understood may have changed anything.
    """

    mark: int | None = 0
    ct_mark: int | None = 0
    ct_zone: int | None = 0
    untracked: bool = False
    changed: bool = False

    def with_value(self, field: str, value: int | None) -> World:
        match field:
            case "mark":
                return self._replace(mark=value)
            case "ct_mark":
                return self._replace(ct_mark=value)
            case "ct_zone":
                return self._replace(ct_zone=value)
            case _:
                return self

    def value(self, field: str) -> int | None:
        match field:
            case "mark":
                return self.mark
            case "ct_mark":
                return self.ct_mark
            case "ct_zone":
                return self.ct_zone
            case _:
                return None


class Facts:
    """Fields of the packet at one base chain.

    Attributes:
        asked: the question.
        world: what rules have changed.
        early: connections are not looked up yet.
        nft: rules are nft's; those of iptables see a packet without a helper as one whose helper is "".
    """

    __slots__ = ("_known", "asked", "early", "nft", "world")

    def __init__(self, asked: Asked, world: World, *, early: bool, nft: bool) -> None:
        self.asked = asked
        self.world = world
        self.early = early
        self.nft = nft
        self._known: dict[str, Known] = {}

    def __call__(self, field: str) -> Known:
        """What is known of a field."""
        try:
            return self._known[field]
        except KeyError:
            found = self._known[field] = self._find(field)
            return found

    def _find(self, field: str) -> Known:
        if field.startswith("ct_"):
            if self.early or self.world.untracked:
                if field != "ct_state":
                    return ABSENT if field != "ct_zone" else self.world.ct_zone
                return "untracked" if self.world.untracked else "invalid"
            if field != "ct_state" and self.asked.ct_state in ("invalid", "untracked"):
                return ABSENT
        if self.world.changed and field not in LASTING:
            return None
        if field in ("mark", "ct_mark", "ct_zone"):
            return self.world.value(field)
        if field in self.asked.more:
            return self.asked.more[field]
        return self._told(field)

    def _told(self, field: str) -> Known:
        asked = self.asked
        first = asked.ct_state in FIRST
        match field:
            case "dport":
                return 0
            case "nfproto":
                return asked.nfproto
            case "l4proto":
                return asked.l4proto
            case "saddr":
                return asked.saddr
            case "daddr":
                return asked.daddr
            case "sport":
                return asked.sport
            case "iifname":
                return "" if asked.iifname is None and asked.hook == "output" else asked.iifname
            case "oifname":
                return "" if asked.oifname is None and asked.hook in ("prerouting", "input") else asked.oifname
            case "iiftype":
                return 772 if asked.iifname == "lo" else None
            case "ct_state":
                return asked.ct_state
            case "ct_status":
                return self._status()
            case "ct_helper":
                return ABSENT if asked.ct_helper == "" and self.nft else asked.ct_helper
            case "ct_protocol":
                return None if asked.l4proto in ICMP and asked.ct_state != "new" else asked.l4proto
            case "ct_direction":
                return "original" if first and asked.l4proto not in ICMP else None
            case "ct_original_saddr":
                return asked.saddr if self._unturned() and asked.hook != "postrouting" else None
            case "ct_original_daddr":
                return asked.daddr if self._unturned() else None
            case "ct_original_dport":
                return 0 if self._unturned() else None
            case "tcp_flags":
                return "syn" if first and asked.l4proto == 6 else None
            case "fib_daddr_type":
                return {"input": "local", "forward": "unicast"}.get(asked.hook)
            case "pkttype":
                return "host" if asked.hook in ("input", "forward") else None
            case _:
                return None

    def _unturned(self) -> bool:
        """The first packet of a connection whose destination is not translated looks like the connection itself."""
        asked = self.asked
        return asked.ct_state in FIRST and asked.l4proto not in ICMP and "dnat" not in asked.ct_status

    def _status(self) -> Holding | None:
        asked = self.asked
        if asked.ct_state is None:
            return None
        if asked.ct_state in FIRST and asked.l4proto not in ICMP:
            return Holding(asked.ct_status, frozenset())
        sure = asked.ct_status | {"confirmed"} if asked.ct_state == "established" else asked.ct_status
        return Holding(sure, frozenset({"seen-reply", "assured", "confirmed"}) - sure)
