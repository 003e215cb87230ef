"""What each helper of the kernel expects, and who may use it: the table on which an audit's sentences stand.

An expectation has a source (the master's other end, any host of a subnet, or anybody), a destination and a port that
the payload names. Where a module parameter makes the source wider it is named. Sources:
`net/netfilter/nf_conntrack_*.c` of Linux 6.18; each row says the function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.rules.model import Span

if TYPE_CHECKING:
    from conntap.gateway.state import Gateway

__all__ = ["BROWSERS_REFUSE", "HELPERS", "Expected", "Helper", "Loosening", "module_of"]

TCP: Final = 6
UDP: Final = 17
GRE: Final = 47

#: A port that the text of a message names: all but 0.
NAMED: Final = Span(1, 65535)
#: nf_conntrack_sip.c refuses lower ones (ct_sip_parse_addr, ct_sip_get_sdp_header).
HIGH: Final = Span(1024, 65535)
#: No port: GRE has keys.
NONE: Final = Span(0, 65535)

#: Ports to which browsers make no connection ("bad ports" of the Fetch standard, section 2.9, November 2024).
BROWSERS_REFUSE: Final = frozenset(
    int(port)
    for port in [
        "0",
        "1",
        "7",
        "9",
        "11",
        "13",
        "15",
        "17",
        "19",
        "20",
        "21",
        "22",
        "23",
        "25",
        "37",
        "42",
        "43",
        "53",
        "69",
        "77",
        "79",
        "87",
        "95",
        "101",
        "102",
        "103",
        "104",
        "109",
        "110",
        "111",
        "113",
        "115",
        "117",
        "119",
        "123",
        "135",
        "137",
        "139",
        "143",
        "161",
        "179",
        "389",
        "427",
        "465",
        "512",
        "513",
        "514",
        "515",
        "526",
        "530",
        "531",
        "532",
        "540",
        "548",
        "554",
        "556",
        "563",
        "587",
        "601",
        "636",
        "989",
        "990",
        "993",
        "995",
        "1719",
        "1720",
        "1723",
        "2049",
        "3659",
        "4045",
        "4190",
        "5060",
        "5061",
        "6000",
        "6566",
        "6665",
        "6666",
        "6667",
        "6668",
        "6669",
        "6679",
        "6697",
        "10080",
    ]
)


@dataclass(frozen=True, slots=True)
class Loosening:
    """A module parameter that makes a helper less careful.

    Attributes:
        module, name: of the parameter.
        loose: values that loosen; "N" and "0" are the same, as "Y" and "1".
        default: the kernel's.
        wild: with it anybody may use the expectation; otherwise its destination is wider.
        what: what is so with it, as a clause.
    """

    module: str
    name: str
    loose: str
    default: str
    wild: bool
    what: str

    def holds(self, gateway: Gateway) -> bool:
        """The gateway has it loosened."""
        value = gateway.parameter(self.module, self.name)
        return value is not None and SAME.get(value, value) == self.loose


SAME: Final = {"N": "0", "n": "0", "Y": "1", "y": "1"}


@dataclass(frozen=True, slots=True)
class Expected:
    """One kind of expectation.

    Attributes:
        what: a word for it.
        l4proto: of the connection that is expected.
        to: who is connected to: the master's client or its server; "both" where either may announce;
            "gateway": only packets that the gateway itself sends are read.
        ports: which the message can name.
        seconds: how long it waits.
        source: who may come: "peer" the master's other end alone, "subnet" any host of it, "any" anybody.
        wild_by: the parameter that makes "peer" to "any".
        function: where the kernel makes it.
        same: it is of the transport that its master has: SIP over TCP expects calls over TCP.
    """

    what: str
    l4proto: int
    to: str
    ports: Span
    seconds: int
    source: str
    function: str
    wild_by: Loosening | None = None
    same: bool = False

    def of(self, l4proto: int) -> bool:
        """A master of this transport makes it; 0: of any that the helper reads."""
        return not self.same or l4proto in (0, self.l4proto)

    def wild(self, gateway: Gateway) -> bool:
        """Anybody may come, as this gateway's parameters stand."""
        return self.source == "any" or (self.wild_by is not None and self.wild_by.holds(gateway))


@dataclass(frozen=True, slots=True)
class Helper:
    """A helper.

    Attributes:
        name: as rules name it.
        module: without `nf_conntrack_`.
        l4protos: of the connection it reads.
        nfprotos: 4 and 6, or 4 alone.
        port: the default one.
        expected: what it announces.
        text: its messages are text that a browser's request can hold (NAT slipstreaming).
        loosened: parameters that loosen it.
        reserved: its clients come from ports below 1024.
    """

    name: str
    module: str
    l4protos: tuple[int, ...]
    nfprotos: tuple[int, ...]
    port: int
    expected: tuple[Expected, ...]
    text: bool = False
    loosened: tuple[Loosening, ...] = ()
    reserved: bool = False

    def wild(self, gateway: Gateway) -> tuple[Expected, ...]:
        """The expectations that anybody may use on this gateway."""
        return tuple(one for one in self.expected if one.wild(gateway))

    @property
    def asks(self) -> bool:
        """It reads broadcasts of the gateway itself, and nothing that is forwarded."""
        return all(one.to == "gateway" for one in self.expected)

    def inward(self, l4proto: int = 0) -> tuple[Expected, ...]:
        """Those by which somebody connects to the client of a connection of this transport; 0: of any."""
        return tuple(one for one in self.expected if one.to in ("client", "both") and one.of(l4proto))


LOOSE: Final = Loosening(
    "nf_conntrack_ftp", "loose", "1", "0", False, "a server or client may announce a third host's address (FTP bounce)"
)
DIRECT_MEDIA: Final = Loosening(
    "nf_conntrack_sip",
    "sip_direct_media",
    "0",
    "1",
    True,
    "media may come from any host, to any address that a message names",
)
DIRECT_SIGNALLING: Final = Loosening(
    "nf_conntrack_sip",
    "sip_direct_signalling",
    "0",
    "1",
    True,
    "calls may come from any host, not from the registrar alone",
)
GKROUTED: Final = Loosening(
    "nf_conntrack_h323", "gkrouted_only", "0", "1", True, "calls may come from any host, not from the gatekeeper alone"
)
FORWARDED: Final = Loosening(
    "nf_conntrack_h323",
    "callforward_filter",
    "0",
    "1",
    False,
    "a forwarded call is expected also between hosts of the same side",
)

SIP_CALL: Final = "process_register_request() of nf_conntrack_sip.c"
SIP_MEDIA: Final = "set_expected_rtp_rtcp() of nf_conntrack_sip.c"
RRQ: Final = "process_rrq() of nf_conntrack_h323_main.c"
MEDIA: Final = "expect_rtp_rtcp() of nf_conntrack_h323_main.c"

#: All helpers of the kernel, by the name that rules use.
HELPERS: Final = {
    one.name: one
    for one in (
        Helper(
            "ftp", "ftp", (TCP,), (4, 6), 21,
            (
                Expected("active data connection", TCP, "client", NAMED, 300, "peer", "help() of nf_conntrack_ftp.c"),
                Expected("passive data connection", TCP, "server", NAMED, 300, "peer", "help() of nf_conntrack_ftp.c"),
            ),
            text=True, loosened=(LOOSE,),
        ),
        Helper(
            "tftp", "tftp", (UDP,), (4, 6), 69,
            (Expected("answer", UDP, "client", NAMED, 300, "peer", "tftp_help() of nf_conntrack_tftp.c"),),
        ),
        Helper(
            "irc", "irc", (TCP,), (4,), 6667,
            (Expected("DCC offer", TCP, "client", NAMED, 300, "any", "help() of nf_conntrack_irc.c"),),
            text=True,
        ),
        Helper(
            "sip", "sip", (UDP, TCP), (4, 6), 5060,
            (
                Expected("call", UDP, "client", HIGH, 180, "peer", SIP_CALL, DIRECT_SIGNALLING, same=True),
                Expected("call", TCP, "client", HIGH, 180, "peer", SIP_CALL, DIRECT_SIGNALLING, same=True),
                Expected("media", UDP, "both", HIGH, 180, "peer", SIP_MEDIA, DIRECT_MEDIA),
            ),
            text=True, loosened=(DIRECT_MEDIA, DIRECT_SIGNALLING),
        ),
        Helper(
            "amanda", "amanda", (UDP,), (4, 6), 10080,
            (Expected("backup stream", TCP, "server", NAMED, 180, "peer", "amanda_help() of nf_conntrack_amanda.c"),),
            reserved=True,
        ),
        Helper(
            "sane", "sane", (TCP,), (4, 6), 6566,
            (Expected("scan", TCP, "server", NAMED, 300, "peer", "help() of nf_conntrack_sane.c"),),
        ),
        Helper(
            "pptp", "pptp", (TCP,), (4,), 1723,
            (Expected("tunnel", GRE, "both", NONE, 300, "peer", "exp_gre() of nf_conntrack_pptp.c"),),
        ),
        Helper(
            "netbios-ns", "netbios_ns", (UDP,), (4,), 137,
            (Expected("answer", UDP, "gateway", NAMED, 3, "subnet", "nf_conntrack_broadcast_help()"),),
            reserved=True,
        ),
        Helper(
            "snmp", "snmp", (UDP,), (4,), 161,
            (Expected("answer", UDP, "gateway", NAMED, 30, "subnet", "nf_conntrack_broadcast_help()"),),
        ),
        Helper(
            "RAS", "h323", (UDP,), (4, 6), 1719,
            (Expected("call", TCP, "client", NAMED, 240, "peer", RRQ, GKROUTED),),
            loosened=(GKROUTED,),
        ),
        Helper(
            "Q.931", "h323", (TCP,), (4, 6), 1720,
            (
                Expected("H.245 channel", TCP, "both", NAMED, 240, "peer", "expect_h245() of nf_conntrack_h323_main.c"),
                Expected("media", UDP, "both", NAMED, 240, "peer", MEDIA),
            ),
            text=True, loosened=(FORWARDED,),
        ),
        Helper("H.245", "h323", (TCP,), (4, 6), 0, (Expected("media", UDP, "both", NAMED, 240, "peer", MEDIA),)),
    )
}  # fmt: skip


def module_of(name: str) -> str:
    """The kernel module of a helper, by its name in rules."""
    known = HELPERS.get(name)
    return f"nf_conntrack_{known.module if known else name.replace('-', '_').lower()}"
