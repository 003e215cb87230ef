"""Where records come in: `ipfix://HOST:PORT?transport=tcp`, `ipfix:FILE`; read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from conntap.errors import UsageError
from conntap.units import parse_size

__all__ = ["Place", "parse_place"]

Network: TypeAlias = IPv4Network | IPv6Network
Transport: TypeAlias = Literal["udp", "tcp", "tls", "file"]

#: Registered with IANA: ipfix, ipfixs.
PORTS: Final[dict[str, int]] = {"udp": 4739, "tcp": 4739, "tls": 4740}
OPTIONS: Final = ("transport", "from", "buffer", "cert", "key", "ca")
HINT: Final = "say ipfix://0.0.0.0:4739, ipfix://[::]:4739?transport=tcp or ipfix:FILE"


@dataclass(frozen=True, slots=True)
class Place:
    """One place where records come in.

    Attributes:
        text: as it was said.
        transport: udp, tcp, tls or file.
        host: address or name to listen at.
        port: 0 for any.
        path: of the file; "-" is standard input.
        exporters: networks from which messages are taken; none: from anywhere.
        buffer_bytes: receive buffer to ask for (UDP).
        cert: PEM file with our certificate (TLS).
        key: PEM file with its key; None where it is in the same file.
        ca: PEM file with the authorities that exporters' certificates must come from; None: they need none.
    """

    text: str
    transport: Transport
    host: str = ""
    port: int = 0
    path: str = ""
    exporters: tuple[Network, ...] = ()
    buffer_bytes: int = 32 << 20
    cert: str | None = None
    key: str | None = None
    ca: str | None = None

    def takes_from(self, address: str) -> bool:
        """Is this exporter welcome?"""
        return not self.exporters or any(ip_address(address) in network for network in self.exporters)


def parse_place(text: str) -> Place:
    """Read one place.

    Raises:
        UsageError: it is none, or an option is wrong.
    """
    scheme, _, rest = text.partition(":")
    if scheme != "ipfix" or not rest:
        raise UsageError(f"'{text}' is no place where records come in", hint=HINT)
    if not rest.startswith("//"):
        path, _, query = rest.partition("?")
        if query:
            raise UsageError(f"{text}: a file has no options", hint=HINT)
        return Place(text, "file", path=path)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{text}: {error}", hint=HINT) from error
    if not host or parts.path.strip("/") or parts.username is not None:
        raise UsageError(f"'{text}' is no place where records come in", hint=HINT)
    said = read_options(text, parts.query)
    transport = said.get("transport", "udp")
    if transport not in ("udp", "tcp", "tls"):
        raise UsageError(f"{text}: unknown transport '{transport}'", hint="udp, tcp or tls")
    if transport == "tls" and "cert" not in said:
        raise UsageError(f"{text}: TLS needs a certificate", hint="cert=FILE, and key=FILE where it is apart: PEM")
    if transport != "tls" and (wrong := [name for name in ("cert", "key", "ca") if name in said]):
        raise UsageError(f"{text}: {wrong[0]}= is for TLS", hint="say transport=tls too")
    if transport != "udp" and "buffer" in said:
        raise UsageError(f"{text}: buffer= is for UDP", hint="TCP holds the exporter back by itself")
    return Place(
        text,
        transport,
        host=host,
        port=PORTS[transport] if port is None else port,
        exporters=tuple(read_network(text, name) for name in said.get("from", "").split(",") if name),
        buffer_bytes=read_size(text, said["buffer"]) if "buffer" in said else 32 << 20,
        cert=said.get("cert"),
        key=said.get("key"),
        ca=said.get("ca"),
    )


def read_options(text: str, query: str) -> dict[str, str]:
    """What stands behind the `?`."""
    said: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in OPTIONS:
            raise UsageError(f"{text}: there is no option '{name}'", hint=f"say {', '.join(OPTIONS)}")
        if name in said:
            raise UsageError(f"{text}: {name}= is said twice", hint="from= takes several, with commas")
        if not value:
            raise UsageError(f"{text}: {name}= is empty", hint="leave it out, or say a value")
        said[name] = value
    return said


def read_network(text: str, name: str) -> Network:
    """`192.0.2.0/24`, or one address."""
    try:
        return ip_network(name)
    except ValueError as error:
        raise UsageError(
            f"{text}: from={name}: {error}", hint="say an address, or a network as 192.0.2.0/24"
        ) from error


def read_size(text: str, value: str) -> int:
    """Bytes, in the units that all sizes have."""
    try:
        return parse_size(value)
    except UsageError as error:
        raise UsageError(f"{text}: buffer=: {error}", hint="say buffer=32MiB") from error
