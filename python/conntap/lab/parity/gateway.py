"""A gateway in namespaces that forwards any IP packet, whatever its addresses, and tracks it on the real kernel.

    outside: l0 ── r0 :gateway: r1 ── x0 :outside

What enters by r0 leaves by r1 and the reverse: rules choose the way by interface, before the table of local addresses
is asked, and the devices resolve no addresses. Both outer ends lie in one namespace that has no addresses and answers
nothing, so nothing but the packets that are put in reaches the tracker, and one socket there sees all that comes out.

Source: `ip rule` and `arp off` in ip-rule(8), ip-link(8); ip_route_input_slow in net/ipv4/route.c for what a router
refuses (`capture.unforwardable` knows these).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import socket
import struct
from typing import TYPE_CHECKING, Final, Self

from conntap.lab.errors import LabError, NetfilterError
from conntap.lab.host import Host
from conntap.lab.parity.rules import tracking_rules
from conntap.lab.programs import require

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from types import TracebackType

__all__ = ["INNER_MACS", "OUTER_DEVICES", "OUTER_MACS", "Gateway"]

#: By side: the outer ends' devices and addresses, and those of the gateway's own ends.
OUTER_DEVICES: Final = ("l0", "x0")
OUTER_MACS: Final = (bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b"))
INNER_MACS: Final = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))

_OUTSIDE: Final = {
    "ipv6/conf/all/disable_ipv6": 1,
    "ipv6/conf/default/disable_ipv6": 1,
}
# Before the devices are made: what `default` says is what they start with. A router neither asks nor redirects.
_GATEWAY: Final = {
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/default/addr_gen_mode": 1,
    "ipv6/conf/default/router_solicitations": 0,
    "ipv6/conf/all/forwarding": 1,
    "ipv6/conf/default/forwarding": 1,
    "ipv4/ip_forward": 1,
    **{
        f"ipv4/conf/{where}/{name}": value
        for where in ("all", "default")
        for name, value in {
            "rp_filter": 0,
            "accept_local": 1,
            "route_localnet": 1,
            "send_redirects": 0,
            "accept_source_route": 1,
            "log_martians": 0,
        }.items()
    },
    # Events of every entry, also of those born before a listener came.
    "netfilter/nf_conntrack_events": 1,
}
# MTU 65535: nothing is too big and nothing is cut that did not come in pieces.
_LINKS: Final = """\
link set lo up
link add r0 address 02:00:00:00:00:01 mtu 65535 type veth \
peer name l0 address 02:00:00:00:00:0a mtu 65535 netns /proc/{outside}/ns/net
link add r1 address 02:00:00:00:00:02 mtu 65535 type veth \
peer name x0 address 02:00:00:00:00:0b mtu 65535 netns /proc/{outside}/ns/net
link set r0 arp off up
link set r1 arp off up
addr add 169.254.200.1/32 dev r0
addr add 169.254.200.2/32 dev r1
"""
# The table of local addresses comes last, so that a packet to one of the gateway's own is forwarded as well.
_ROUTES: Final = """\
rule add pref 10 iif r0 lookup 100
rule add pref 11 iif r1 lookup 101
rule add pref 20 lookup local
rule del pref 0
route add default dev r1 table 100
route add default dev r0 table 101
"""
_OUTSIDE_LINKS: Final = """\
link set l0 arp off up
link set x0 arp off up
"""


class Gateway:
    """Two namespaces, up while the `with` block runs. Several may be up at once; they share nothing but the kernel.

    Args:
        helpers: helper name → (protocol, destination port) pairs; see `rules.USUAL_HELPERS`.
        sysctls: settings of the gateway's namespace, by path below /proc/sys/net ("netfilter/nf_conntrack_acct").
        nft: more rules, for NAT, marks, zones or drops; the devices are r0 (left) and r1 (right).
        note_states: let the kernel report each packet's state and entry (`Answer.verdict`, `Answer.entry`).

    Raises:
        MissingProgramError: `ip` or `nft` is not installed.
        NamespaceError: the kernel refuses namespaces.
        NetfilterError: the kernel refuses the rules or a setting.
    """

    __slots__ = ("_helpers", "_hosts", "_nft", "_sysctls", "gateway", "note_states", "outside")

    gateway: Host
    outside: Host

    def __init__(
        self,
        *,
        helpers: Mapping[str, Iterable[tuple[str, int]]] | None = None,
        sysctls: Mapping[str, int | str] | None = None,
        nft: str = "",
        note_states: bool = True,
    ) -> None:
        self._helpers = dict(helpers or {})
        self._sysctls = dict(sysctls or {})
        self._nft = nft
        self._hosts: list[Host] = []
        self.note_states = note_states

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take both namespaces down. May be called twice."""
        while self._hosts:  # the first one holds the pid namespace: last
            self._hosts.pop().close()

    def load(self, rules: str) -> None:
        """Add nft rules.

        Raises:
            NetfilterError: the kernel refuses them.
        """
        with _netfilter():
            self.gateway.run(["nft", "-f", "-"], input=rules)

    def _build(self) -> None:
        for program in ("ip", "nft"):
            require(program)
        self.gateway = self._add("gateway")
        self.outside = self._add("outside")
        self.outside.sysctl(_OUTSIDE)
        with _netfilter():
            self.gateway.sysctl(_GATEWAY)
        self.gateway.run(["ip", "-batch", "-"], input=_LINKS.format(outside=self.outside.pid))
        self.gateway.run(["ip", "-batch", "-"], input=_ROUTES)
        self.gateway.run(["ip", "-6", "-batch", "-"], input=_ROUTES)
        self.outside.run(["ip", "-batch", "-"], input=_OUTSIDE_LINKS)
        self.gateway.call(_sum_in_software)
        with _netfilter():
            self.load(tracking_rules(self._helpers, note_states=self.note_states))
            if self._nft:
                self.load(self._nft)
            self.gateway.sysctl(self._sysctls)

    def _add(self, name: str) -> Host:
        host = Host(name, first=self._hosts[0] if self._hosts else None)
        self._hosts.append(host)
        return host


def _sum_in_software() -> None:
    """Let the kernel finish the checksums of packets that it has rewritten; a veth would pass them on unfinished.

    Source: ETHTOOL_STXCSUM of linux/ethtool.h.
    """
    siocethtool, ethtool_stxcsum = 0x8946, 0x17
    wish = ctypes.create_string_buffer(struct.pack("=II", ethtool_stxcsum, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for device in (b"r0", b"r1"):
            fcntl.ioctl(handle, siocethtool, struct.pack("=16sQ16x", device, ctypes.addressof(wish)))


@contextlib.contextmanager
def _netfilter() -> Generator[None]:
    try:
        yield
    except NetfilterError:
        raise
    except LabError as error:
        hint = "modprobe nf_tables nft_ct nft_nat nft_log nfnetlink_log nf_conntrack_netlink, and the helpers' modules"
        raise NetfilterError(f"the kernel refuses the gateway's rules: {error}", hint=hint) from error
