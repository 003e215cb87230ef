"""The lab itself: three hosts and two wires.

    client 10.0.0.5 ── 10.0.0.1 gateway 203.0.113.1 ── 203.0.113.254 server 198.51.100.9
    client 2001:db8:1::5 ── ::1 gateway 2001:db8:2::1 ── ::fe server 2001:db8:3::9

The gateway masquerades what leaves by its outside, and tracks. The server knows no way to 10.0.0.0/24.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from conntap.lab.conntrack import destroy_expired, flush
from conntap.lab.errors import LabError, NetfilterError
from conntap.lab.host import Host
from conntap.lab.programs import require
from conntap.lab.ruleset import FORWARDING, GATEWAY_RULES, QUIET_IPV6, SHORT_TIMEOUTS, TRACKING

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["CLIENT", "CLIENT6", "GATEWAY", "GATEWAY6", "SERVER", "SERVER6", "Lab"]

# Addresses of the documentation ranges: RFC 5737, RFC 3849; 10.0.0.0/24 is the private side.
CLIENT: Final = "10.0.0.5"
GATEWAY: Final = "203.0.113.1"
SERVER: Final = "198.51.100.9"
CLIENT6: Final = "2001:db8:1::5"
GATEWAY6: Final = "2001:db8:2::1"
SERVER6: Final = "2001:db8:3::9"

_GATEWAY_LINKS: Final = """\
link set lo up
link add inside type veth peer name eth0 netns /proc/{client}/ns/net
link add outside type veth peer name eth0 netns /proc/{server}/ns/net
addr add 10.0.0.1/24 dev inside
addr add 2001:db8:1::1/64 dev inside nodad
addr add 203.0.113.1/24 dev outside
addr add 2001:db8:2::1/64 dev outside nodad
link set inside up
link set outside up
"""
_CLIENT_LINKS: Final = """\
link set lo up
addr add 10.0.0.5/24 dev eth0
addr add 2001:db8:1::5/64 dev eth0 nodad
link set eth0 up
route add default via 10.0.0.1
route add default via 2001:db8:1::1
"""
_SERVER_LINKS: Final = """\
link set lo up
addr add 203.0.113.254/24 dev eth0
addr add 2001:db8:2::fe/64 dev eth0 nodad
addr add 198.51.100.9/32 dev lo
addr add 2001:db8:3::9/128 dev lo nodad
link set eth0 up
"""
_GATEWAY_ROUTES: Final = """\
route add 198.51.100.0/24 via 203.0.113.254
route add 2001:db8:3::/64 via 2001:db8:2::fe
"""


class Lab:
    """Client, NAT gateway and server in namespaces; `with Lab() as lab:` builds it and takes it down.

    Needs CAP_SYS_ADMIN in a user namespace: root, or `python -m conntap.lab.sandbox -- PROGRAM`. If the process dies,
    however it dies, the kernel takes everything down. `setup_seconds` is how long building took.

    Raises:
        MissingProgramError: `ip` or `nft` is not installed.
        NamespaceError: the kernel refuses namespaces.
        NetfilterError: the kernel refuses the gateway's rules.
    """

    __slots__ = ("_hosts", "client", "gateway", "server", "setup_seconds")

    client: Host
    gateway: Host
    server: Host
    setup_seconds: float

    def __init__(self) -> None:
        self._hosts: list[Host] = []

    def __enter__(self) -> Self:
        began = time.monotonic()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        self.setup_seconds = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down. May be called twice."""
        while self._hosts:  # the first one holds the pid namespace: last
            self._hosts.pop().close()

    def forget(self) -> int:
        """Wait until the gateway has forgotten every finished connection; return how many are left alive.

        Each is announced by its DESTROY. Takes about as long as `ruleset.SHORT_TIMEOUTS` says: a second.
        """
        deadline = time.monotonic() + 2.5
        while (left := self.gateway.call(destroy_expired)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def reset(self) -> None:
        """Empty the gateway's table at once, so that the next scenario starts as in a fresh lab."""
        self.gateway.call(flush)

    def _build(self) -> None:
        for program in ("ip", "nft"):
            require(program)
        self.client = self._add("client")
        self.gateway = self._add("gateway")
        self.server = self._add("server")
        for host in self._hosts:
            host.sysctl(QUIET_IPV6)
        self.gateway.sysctl(FORWARDING)
        links = _GATEWAY_LINKS.format(client=self.client.pid, server=self.server.pid)
        self.gateway.run(["ip", "-batch", "-"], input=links)
        self.client.run(["ip", "-batch", "-"], input=_CLIENT_LINKS)
        self.server.run(["ip", "-batch", "-"], input=_SERVER_LINKS)
        self.gateway.run(["ip", "-batch", "-"], input=_GATEWAY_ROUTES)
        try:
            self.gateway.run(["nft", "-f", "-"], input=GATEWAY_RULES)
            self.gateway.sysctl({**TRACKING, **SHORT_TIMEOUTS})
        except LabError as error:
            hint = "modprobe nf_tables nft_ct nft_masq nf_conntrack_netlink nf_conntrack_ftp nf_conntrack_tftp"
            raise NetfilterError(f"the kernel refuses the gateway's rules: {error}", hint=hint) from error

    def _add(self, name: str) -> Host:
        host = Host(name, first=self._hosts[0] if self._hosts else None)
        self._hosts.append(host)
        return host
