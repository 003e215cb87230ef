"""IPFIX to a collector (RFC 7011): over UDP, TCP or TLS; NetFlow v9 over UDP. docs/ipfix.md has the templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from conntap import _core
from conntap.errors import UsageError
from conntap.sinks.base import Sink, SinkUnavailableError
from conntap.sinks.transports import Datagrams, Stream, tls_context

if TYPE_CHECKING:
    from conntap.sinks.transports import Transport

__all__ = ["IpfixSink"]

SECOND = 1_000_000_000
#: After the beginning of a UDP session templates go out again so many seconds after one another, then at the interval.
BURST = (1.0, 2.0)

PORTS = {"udp": 4739, "tcp": 4739, "tls": 4740}
#: Octets of a message. Over UDP it must not be cut into fragments; a stream takes any.
MTU = {"udp": 1400, "tcp": 16_384, "tls": 16_384}


class Due:
    """Says when something is to be done again, whichever way the clock is set."""

    def __init__(self, every: float, now_ns: int, first: tuple[float, ...] = ()) -> None:
        self._every = every
        self._next = list(first)
        self._last_ns = now_ns

    def __call__(self, now_ns: int) -> bool:
        wait = self._next[0] if self._next else self._every
        if 0 <= now_ns - self._last_ns < wait * SECOND:
            return False
        self._last_ns = now_ns
        del self._next[:1]
        return True


class IpfixSink(Sink):
    """Sends records to a collector.

    Attributes:
        target: what it writes to, as the user named it.
        counters: records taken, messages, octets, sessions, and what was left out, by name.
        not_sent: flows that were given up before they came here; the collector is told (notSentFlowTotalCount).
    """

    def __init__(
        self,
        target: str,
        *,
        host: str,
        port: int | None = None,
        transport: Literal["udp", "tcp", "tls"] = "udp",
        mtu: int | None = None,
        domain: int = 1,
        version: int = 10,
        nanoseconds: bool = False,
        extended: bool = False,
        nat_events: str = "yes",
        templates_every: float = 60.0,
        statistics_every: float = 60.0,
        timeout: float = 10.0,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        verify: bool = True,
    ) -> None:
        """Make a sink that is not connected yet.

        Args:
            target: what it writes to, as the user named it.
            host: name or address (IPv4, IPv6) of the collector.
            port: 4739, over TLS 4740, where None.
            transport: `udp`, `tcp` or `tls`.
            mtu: octets of the longest message: 1400 over UDP, 16384 over a stream where None.
            domain: observation domain of flows; NAT events have the next one, statistics the one after that.
            version: 10, or 9 for NetFlow v9.
            nanoseconds: times as flowStartNanoseconds and -End- (few collectors read them).
            extended: mark, zone, status, labels, helper, numbers of the ledger too.
            nat_events: `yes`, `no`, or `historic` for the numbers 1 and 2.
            templates_every: seconds after which templates are sent again over UDP.
            statistics_every: seconds between records of what was sent; 0: none.
            timeout: seconds to wait for a connection and for acknowledgements (TCP, TLS).
            ca: PEM file of who signed the collector's certificate; the system's where None.
            cert: PEM file of our own certificate.
            key: PEM file of its key, where that is not in the same file.
            verify: check the collector's certificate and name.

        Raises:
            UsageError: a value that cannot be.
        """
        if transport not in PORTS:
            raise UsageError(f"unknown transport '{transport}'", hint="udp, tcp or tls")
        if version == 9 and transport != "udp":
            raise UsageError("NetFlow v9 goes over UDP only", hint="leave out version=9, or transport=")
        if transport != "tls" and (ca or cert or key):
            raise UsageError("ca=, cert= and key= are for TLS", hint="say transport=tls too")
        self.target = target
        self.counters: dict[str, int] = {"records": 0, "sessions": 0}
        self.not_sent = 0
        self._exporter = _core.IpfixExporter(
            mtu=mtu or MTU[transport],
            domain=domain,
            version=version,
            nanoseconds=nanoseconds,
            extended=extended,
            nat_events=nat_events,
        )
        self._datagrams = transport == "udp"
        self._templates_every, self._statistics_every = templates_every, statistics_every
        self._announced = 0
        at = port or PORTS[transport]
        self._transport: Transport
        if self._datagrams:
            self._transport = Datagrams(target, host=host, port=at)
        else:
            tls = tls_context(ca=ca, cert=cert, key=key, verify=verify) if transport == "tls" else None
            self._transport = Stream(target, host, at, tls=tls, patience=timeout)
        self._begin(0)

    def _begin(self, now_ns: int) -> None:
        self._templates_due = Due(self._templates_every, now_ns, BURST)
        self._statistics_due = Due(self._statistics_every, now_ns)

    def open(self) -> int:
        """Begin a session: sequence numbers from 0, templates first. What a collector has, it does not say: 0."""
        self._transport.open()
        self._exporter.restart()
        self.counters["sessions"] += 1
        now_ns = _core.now_ns()
        self._begin(now_ns)
        self._send(self._exporter.templates(now_ns))
        self._announced = self._exporter.announced
        return 0

    def write(self, records: _core.Batch) -> None:
        """Send these records. A failure ends the session; records that had gone out before it come twice then."""
        self._send(self._exporter.encode(records))
        self.counters["records"] += len(records)
        if self._datagrams and self._exporter.announced > self._announced:
            # A template that went out with these for the first time: it is worth saying again soon.
            self._announced = self._exporter.announced
            self._templates_due = Due(self._templates_every, _core.now_ns(), BURST)

    def flush(self) -> None:
        """TCP, TLS: until the collector's kernel has acknowledged all. UDP: only a refusal can be known."""
        self._transport.flush()

    def tick(self, now_ns: int) -> None:
        """Send templates again (UDP) and statistics, when they are due."""
        if self._datagrams and self._templates_due(now_ns):
            self._send(self._exporter.templates(now_ns))
        if self._statistics_every and self._statistics_due(now_ns):
            self._send(self._exporter.statistics(not_sent=self.not_sent, now_ns=now_ns))

    def close(self) -> None:
        """Say what was sent in all, and end the session."""
        try:
            if self._statistics_every:
                self._send(self._exporter.statistics(not_sent=self.not_sent))
            self._transport.flush()
        except SinkUnavailableError:
            pass
        self._transport.close()

    def _send(self, messages: list[bytes]) -> None:
        try:
            if self._transport.send(messages):
                self._transport.close()
                hint = "say a smaller mtu="
                raise SinkUnavailableError(f"{self.target}: messages are longer than the path takes", hint=hint)
        except SinkUnavailableError:
            self._exporter.take_back()
            raise
        finally:
            self.counters.update(self._exporter.counters)
