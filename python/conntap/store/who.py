"""Who had an address (and port) at some time: records that fit, joined to candidates.

Candidates are the connections that began before the time asked for (plus skew) and ended after it (less skew). Segments
are sorted by outside address, port, protocol and start, so the first pass touches one or two row groups of each segment
that the manifest leaves; only when it finds nobody are the addresses behind NAT looked through.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from conntap import _core
from conntap.errors import SegmentError, UsageError
from conntap.store.answer import Answer, Candidate, Endpoint
from conntap.store.catalog import FOREVER_NS, Gap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conntap.store.catalog import Catalog, Segment

__all__ = ["Question", "ask"]

PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmpv6", 132: "sctp", 136: "udplite"}
NAT = {1: "snat", 2: "dnat", 3: "snat,dnat"}
FROM = {1: "kernel", 2: "event", 3: "received", 4: "seen", 5: "exporter"}
SEEN = 4
#: An event's time and the kernel's own timestamp of the same beginning differ by less.
NEAR_NS = 500_000_000
FLOW, INTERIM, BINDING, OPEN = range(4)

#: What every segment has, in the order of `Row`.
COLUMNS = (
    "kind", "nat", "l4proto", "out_addr", "out_addr6", "out_port", "in_addr", "in_addr6", "in_port",
    "dst_addr", "dst_addr6", "dst_port", "dnat_addr", "dnat_addr6", "dnat_port",
    "start_ns", "duration_ns", "stop_after_ns", "start_from", "zone", "exporter", "domain",
)  # fmt: skip
#: What segments of whole records have besides.
MORE = ("end_reason", "helper", "mark", "orig_packets", "orig_bytes", "reply_packets", "reply_bytes")
READ = (*COLUMNS, *MORE)


class Question(NamedTuple):
    """Who had *address* (and *port*) between two times."""

    address: IPv4Address | IPv6Address
    port: int | None
    l4proto: int | None
    from_ns: int
    to_ns: int
    skew_ns: int

    @property
    def low(self) -> int:
        return self.from_ns - self.skew_ns

    @property
    def high(self) -> int:
        return self.to_ns + self.skew_ns


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """An address.

    Raises:
        UsageError: it is none.
    """
    try:
        found = ip_address(text)
    except ValueError:
        raise UsageError(
            f"'{text}' is no IP address", hint="say 203.0.113.7, 203.0.113.7:41234 or [2001:db8::1]:443"
        ) from None
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped
    return found


def parse_protocol(word: str | int) -> int:
    """The number of an IP protocol.

    Raises:
        UsageError: nobody knows it.
    """
    if isinstance(word, int) or word.isdecimal():
        number = int(word)
    else:
        name = {"icmp6": "icmpv6", "ipv6-icmp": "icmpv6"}.get(word.lower(), word.lower())
        number = next((number for number, known in PROTOCOLS.items() if known == name), -1)
        if number < 0:
            from conntap.resolve import protocol

            number = protocol(name) or -1
    if not 0 <= number <= 255:
        raise UsageError(f"there is no IP protocol '{word}'", hint="say tcp, udp, icmp … or a number")
    return number


def ask(
    question: Question,
    catalog: Catalog,
    files: Iterable[str] = (),
    *,
    open_known: bool = True,
    withheld: str = "",
    hides: bool = False,
) -> Answer:
    """Answer from segments and from *files*, which hold what is in no segment yet (and open flows).

    Args:
        open_known: *files* has all flows that are open. Otherwise bindings and interim records without an end count
            as well, though their connection may have ended.
        withheld: what *files* leave out for privacy, in words.
        hides: addresses inside are 0.0.0.0 and :: in *files*, as they may not be told.
    """
    gaps = list(catalog.unknown(question.low, question.high))
    late = max([question.high, *(gap.before_ns for gap in gaps)])
    reader = Reader(question, late, open_known=open_known, hides=hides)
    segments = [segment for segment in catalog.segments if segment.may_hold(question, late, open_known=open_known)]
    extra = list(files)
    rows = reader.read(segments, extra, OUTSIDE) or reader.read(segments, extra, BEHIND)
    gaps += [
        Gap("damage", segment.min_start_ns or 0, segment.max_stop_ns or late) for segment in reader.damaged.values()
    ]
    candidates = sorted(
        (found for found in join(rows, question) if found), key=lambda found: (not found.sure, found.start_ns or 0)
    )
    return Answer(
        address=str(question.address),
        port=question.port,
        protocol=None if question.l4proto is None else PROTOCOLS.get(question.l4proto, str(question.l4proto)),
        from_ns=question.from_ns,
        to_ns=question.to_ns,
        skew_ns=question.skew_ns,
        candidates=tuple(candidates),
        gaps=tuple(gaps),
        known=None if gaps else catalog.known(question.low, question.high),
        open_known=open_known,
        damaged=tuple(reader.damaged),
        withheld=withheld,
    )


#: As what an address may have taken part: as the world saw it, or else behind NAT.
OUTSIDE = ("source", "dialled")
BEHIND = ("inside", "server")


class Reader:
    """Puts one question to files; those that cannot be read are remembered, and the others are asked all the same.

    Attributes:
        damaged: path → segment.
    """

    def __init__(self, question: Question, late: int, *, open_known: bool, hides: bool = False) -> None:
        self.question = question
        self.late = late
        self.open_known = open_known
        self.hides = hides
        self.damaged: dict[str, Segment] = {}

    def read(self, segments: Sequence[Segment], extra: Sequence[str], roles: Sequence[str]) -> list[dict[str, Any]]:
        """Records that fit one of the roles."""
        rows: list[dict[str, Any]] = []
        for role in roles:
            for segment in segments:
                if segment.path in self.damaged or (role in ("dialled", "server") and not segment.dnat):
                    continue
                try:
                    rows += self._ask(role, segment.path)
                except (OSError, SegmentError):
                    self.damaged[segment.path] = segment
            for path in extra:
                found = self._ask(role, path)
                rows += ({**row, "hides": True} for row in found) if self.hides else found
        return rows

    def _ask(self, role: str, path: str) -> list[dict[str, Any]]:
        question = self.question
        found = _core.find_records(
            path,
            role,
            question.address,
            READ,
            port=question.port,
            l4proto=question.l4proto,
            late_ns=min(self.late, FOREVER_NS),
            # Where open flows are not known a beginning counts until its end is found, and that may lie before.
            low_ns=question.low if self.open_known else None,
        )
        return [dict(zip(("role", *READ), (role, *row))) for row in found]


def join(rows: list[dict[str, Any]], question: Question) -> list[Candidate | None]:
    """Records of the same connection become one candidate."""
    tuples: dict[tuple[Any, ...], list[list[dict[str, Any]]]] = {}
    # Ends first: beginnings and interim records belong to the connection in whose life they lie.
    for row in sorted(rows, key=lambda row: (row["kind"] not in (FLOW, OPEN), row["start_ns"] or 0)):
        flows = tuples.setdefault(
            tuple(row[name] for name in ("role", *COLUMNS[2:15], "zone", "exporter", "domain")), []
        )
        home = None if row["kind"] in (FLOW, OPEN) else next((flow for flow in flows if belongs(row, flow[0])), None)
        if home is None:
            flows.append([row])
        else:
            home.append(row)
    return [candidate(records, question) for flows in tuples.values() for records in flows]


def belongs(row: dict[str, Any], to: dict[str, Any]) -> bool:
    """Is a record, by its beginning, of the connection that another one is of? The same ends are granted."""
    if row["start_ns"] is None or to["start_ns"] is None:
        return True
    if row["start_ns"] < to["start_ns"] - NEAR_NS:
        return False
    ended = to["kind"] == FLOW and to["duration_ns"] is not None
    last = to["start_ns"] + to["duration_ns"] if ended else max(to["start_ns"], row["start_ns"])
    return row["start_ns"] <= (last if to["kind"] in (FLOW, OPEN) else to["start_ns"] + NEAR_NS)


def candidate(records: list[dict[str, Any]], question: Question) -> Candidate | None:
    """Judge one connection by its records; None where it had ended before or began later."""
    final = next((row for row in records if row["kind"] == FLOW), None)
    alive = next((row for row in records if row["kind"] == OPEN), None)
    last = final or alive or max(records, key=lambda row: (row["duration_ns"] or 0, row["kind"] == INTERIM))
    start: int | None = last["start_ns"]
    stop = None if start is None or last["duration_ns"] is None else start + last["duration_ns"]
    end: Literal["seen", "open", "unknown"] = "seen"
    stop_after = last["stop_after_ns"]
    if final is None:
        end = "open" if alive else "unknown"
        stop, stop_after = None, (None if alive else (stop if stop is not None else start))
    elif stop is None or stop_after is not None:
        end = "unknown"
    reason = doubt(question, start, stop, stop_after, seen=last["start_from"] == SEEN, end=end)
    if reason is None:
        return None
    return build(last, stop=stop, stop_after=stop_after, end=end, why_not=reason)


def doubt(
    question: Question, start: int | None, stop: int | None, stop_after: int | None, *, seen: bool, end: str
) -> str | None:
    """Why it is not sure that it was there; empty when it is, None when it was not."""
    begin = start if start is not None else question.low
    if begin > question.high:
        return "it began at an unknown time before it was first seen" if seen else None
    if stop is not None and stop < question.low:
        return None
    if stop_after is not None and stop_after < question.from_ns:
        return "it was last known alive before"
    if begin > question.to_ns:
        return "it began within the skew behind" if not seen else "it began at an unknown time before it was first seen"
    if stop is not None and stop < question.from_ns:
        return "it ended within the skew before"
    if end == "unknown" and stop_after is None:
        return "nobody saw its end"
    return ""


def build(row: dict[str, Any], **known: Any) -> Candidate:
    """Turn a record's columns into a candidate."""

    def end(name: str, *, fallback: str = "") -> Endpoint:
        address = read_address(row[f"{name}_addr"], row[f"{name}_addr6"])
        withheld = address is not None and row.get("hides") and not int(address)
        port: int | None = row[f"{name}_port"]
        if fallback:
            other = end(fallback)
            address = other.address if address is None else address
            port = other.port if port is None else port
        if withheld:
            address = None
        return Endpoint(address, port)

    role: str = row["role"]
    icmp = row["l4proto"] in (1, 58)
    source, outside = end("in", fallback="out"), end("out")
    dialled, server = end("dst"), end("dnat", fallback="dst")
    if icmp:  # the port columns of that side have type and code
        dialled, server = Endpoint(dialled.address, outside.port), Endpoint(server.address, outside.port)
    if role in ("dialled", "server"):
        host, seen, remote = server, dialled, outside
    else:
        host, seen, remote = source, outside, dialled
        if icmp:
            remote = Endpoint(remote.address, None)
    return Candidate(
        role="inside" if role in ("inside", "server") else "dialled" if role == "dialled" else "source",
        host=host,
        outside=seen,
        remote=None if remote.address is None else remote,
        l4proto=row["l4proto"],
        protocol=PROTOCOLS.get(row["l4proto"], str(row["l4proto"])),
        nat=NAT.get(row["nat"]),
        zone=row["zone"] or 0,
        start_ns=row["start_ns"],
        stop_ns=known["stop"],
        stop_after_ns=known["stop_after"],
        start_from=FROM.get(row["start_from"]),
        end=known["end"],
        sure=not known["why_not"],
        why_not=known["why_not"],
        exporter=row["exporter"],
        domain=row["domain"],
        fields={name: row[name] for name in MORE},
    )


def read_address(four: int | None, six: bytes | None) -> IPv4Address | IPv6Address | None:
    """The address of a pair of columns."""
    if four is not None:
        return IPv4Address(four)
    return IPv6Address(six) if six is not None else None
