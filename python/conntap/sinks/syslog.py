"""`syslog:`: a record a message, RFC 5424 or RFC 3164, over UDP, TCP, TLS or a local socket; and journald's own way."""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from conntap import _core
from conntap.errors import UsageError
from conntap.sinks.base import Sink, SinkUnavailableError
from conntap.sinks.transports import Datagrams, Stream, tls_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.sinks.transports import Transport

__all__ = ["FACILITIES", "SEVERITIES", "JournaldSink", "SyslogSink"]

Way: TypeAlias = Literal["udp", "tcp", "tls", "unix"]

FACILITIES: Final = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
PORTS: Final = {"udp": 514, "tcp": 514, "tls": 6514}
#: What receivers should take at least (RFC 5424, 6.1; RFC 3164, 4.1).
LONGEST: Final = {"rfc5424": 2048, "rfc3164": 1024}
#: Below this not even what every record must tell has room.
SHORTEST: Final = 1024
JOURNAL: Final = "/run/systemd/journal/socket"


class MessageSink(Sink):
    """Sends each record as a message.

    Attributes:
        target, counters, keeps, durable: see `Sink`.
    """

    keeps = False

    def __init__(self, target: str, transport: Transport, formatter: _core.LineFormatter) -> None:
        """Prepare to send what *formatter* makes of records over *transport*."""
        self.target = target
        self.durable = 0
        self.counters: dict[str, int] = {"written": 0, "shortened": 0, "too_long": 0, "filtered": 0, "taken_back": 0}
        self._transport, self._formatter = transport, formatter
        self._unflushed = 0
        self._last = 0

    def open(self) -> int:
        """Connect. What was sent and not flushed is offered again: its receiver may have it twice, with equal `seq`."""
        self.counters["written"] -= self._unflushed
        self.counters["taken_back"] += self._unflushed
        self._unflushed = 0
        self._last = self.durable
        self._transport.open()
        return self.durable

    def write(self, records: _core.Batch) -> None:
        """Send all of these records; where that fails all will be sent again."""
        if not len(records):
            return
        before = self._formatter.shortened
        is_stream = isinstance(self._transport, Stream)
        messages = [self._formatter.format(records)] if is_stream else self._formatter.datagrams(records)
        too_long = self._transport.send(messages)
        self.counters["shortened"] += self._formatter.shortened - before
        self.counters["too_long"] += too_long
        self.counters["written"] += len(records) - too_long
        self._unflushed += len(records) - too_long
        self._last = max(self._last, records.last_seq)

    def note_filtered(self, count: int, last_seq: int) -> None:
        """Count what a filter keeps from this receiver."""
        self.counters["filtered"] += count
        self._last = max(self._last, last_seq)

    def flush(self) -> None:
        """Hear what the transport can tell: see docs/sinks.md for how little that may be."""
        self._transport.flush()
        self.durable = max(self.durable, self._last)
        self._unflushed = 0

    def tick(self, now_ns: int) -> None:
        """Nothing is due by the clock."""

    def close(self) -> None:
        """Flush, as far as that goes, and let go."""
        if self._last > self.durable:
            with suppress(SinkUnavailableError):
                self.flush()
        self._transport.close()


class SyslogSink(MessageSink):
    """Sends records as syslog messages."""

    def __init__(
        self,
        address: str,
        *,
        transport: Way = "udp",
        port: int | None = None,
        format: Literal["rfc5424", "rfc3164"] = "rfc5424",
        framing: Literal["octets", "lf"] = "octets",
        facility: str = "local0",
        severity: str = "info",
        hostname: str | None = None,
        app_name: str = "conntap",
        max_length: int | None = None,
        fields: Sequence[str] | None = None,
        utc_offset: int | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        tls_name: str = "",
    ) -> None:
        """Prepare to send to *address*.

        Args:
            address: name or address of the receiver; of `unix` the socket's path.
            transport: "udp", "tcp", "tls" or "unix".
            port: 514, of TLS 6514, unless said.
            format: "rfc5424" with structured data, or "rfc3164" with `key=value` text.
            framing: of TCP and TLS: "octets" (a length before each message), "lf" (a line each; not with TLS).
            facility: name (`local0`) or number.
            severity: name (`info`) or number, of records; a gap is a warning at least.
            hostname: in the header; None is this machine's name.
            app_name: in the header.
            max_length: longest message; optional parameters that do not fit are left out and counted as `shortened`.
            fields: which fields are written; None for all that a record has.
            utc_offset: seconds that RFC 3164's local time is ahead of UTC; None asks the system for each batch.
            ca: file of the authorities to trust; None for the system's.
            cert: file of our certificate, where the receiver asks for one.
            key: file of its key, where that is another file.
            tls_name: name that the receiver's certificate must have, where that is not *address*.

        Raises:
            UsageError: an option that there is not, or files of TLS that cannot be read.
        """
        if transport not in ("udp", "tcp", "tls", "unix"):
            raise UsageError(f"transport={transport}: udp, tcp, tls or unix")
        if format not in LONGEST:
            raise UsageError(f"format={format}: rfc5424 or rfc3164")
        if framing not in ("octets", "lf") or (transport == "tls" and framing == "lf"):
            raise UsageError(f"framing={framing}: octets or lf, with TLS octets (RFC 5425)")
        limit = LONGEST[format] if max_length is None else max_length
        if limit < SHORTEST:
            raise UsageError(f"max_length={limit}: at least {SHORTEST}, or records have no room")
        is_stream = transport in ("tcp", "tls")
        formatter = _core.LineFormatter(
            format,
            fields=None if fields is None else list(fields),
            utc_offset=utc_offset,
            framing=framing if is_stream else "none",
            facility=number(facility, FACILITIES, "facility"),
            severity=number(severity, SEVERITIES, "severity"),
            host=header(socket.gethostname() if hostname is None else hostname, 255, "hostname"),
            app=header(app_name, 48, "app_name"),
            procid=str(os.getpid()),
            limit=limit,
        )
        at = PORTS.get(transport, 0) if port is None else port
        where = f"[{address}]" if ":" in address else address
        target = f"syslog:{address}" if transport == "unix" else f"syslog://{where}:{at}?transport={transport}"
        if transport == "unix":
            way: Transport = Datagrams(target, path=address)
        elif transport == "udp":
            way = Datagrams(target, host=address, port=at)
        else:
            context = tls_context(ca=ca, cert=cert, key=key) if transport == "tls" else None
            way = Stream(target, address, at, tls=context, tls_name=tls_name)
        super().__init__(target, way, formatter)


class JournaldSink(MessageSink):
    """Sends records to journald, each field by its name (`journalctl CONNTAP_ORIG_SRC=10.0.0.2`)."""

    def __init__(
        self,
        path: str = JOURNAL,
        *,
        facility: str = "local0",
        severity: str = "info",
        app_name: str = "conntap",
        fields: Sequence[str] | None = None,
    ) -> None:
        """Prepare to send to the socket at *path*; the options are those of `SyslogSink`.

        Raises:
            UsageError: an option that there is not.
        """
        formatter = _core.LineFormatter(
            "journal",
            fields=None if fields is None else list(fields),
            facility=number(facility, FACILITIES, "facility"),
            severity=number(severity, SEVERITIES, "severity"),
            app=header(app_name, 48, "app_name"),
        )
        super().__init__(f"journald:{path}", Datagrams(f"journald:{path}", path=path), formatter)


def number(said: str, names: tuple[str, ...], option: str) -> int:
    """A facility or severity by name or number.

    Raises:
        UsageError: there is none of that name.
    """
    if said in names:
        return names.index(said)
    if re.fullmatch(r"[0-9]{1,2}", said) and int(said) < len(names):
        return int(said)
    raise UsageError(f"{option}={said}: one of {', '.join(names)}")


def header(said: str, longest: int, option: str) -> str:
    """A word of the header: printable ASCII without spaces; "-" for none.

    Raises:
        UsageError: it cannot stand there.
    """
    if not re.fullmatch(rf"[!-~]{{0,{longest}}}", said):
        raise UsageError(f"{option}={said}: printable ASCII without spaces, at most {longest}")
    return said or "-"
