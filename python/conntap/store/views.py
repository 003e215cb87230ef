"""A ledger's files as SQL: macros that turn numbers into readable addresses, and the views `records`, `flows`, `gaps`, `segments`.

Plain SQL that any DuckDB runs (`conntap sql --init` prints it): no extension, no function of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conntap.store import duck

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "COLUMNS",
    "MACROS",
    "columns_of_flows",
    "empty",
    "flows_select",
    "flows_view",
    "records_view",
    "values_view",
]

#: Column of a segment → its type in DuckDB.
COLUMNS = {
    "kind": "UTINYINT", "nat": "UTINYINT", "family": "UTINYINT", "l4proto": "UTINYINT",
    "out_addr": "UINTEGER", "out_addr6": "BLOB", "out_port": "USMALLINT",
    "in_addr": "UINTEGER", "in_addr6": "BLOB", "in_port": "USMALLINT",
    "dst_addr": "UINTEGER", "dst_addr6": "BLOB", "dst_port": "USMALLINT",
    "dnat_addr": "UINTEGER", "dnat_addr6": "BLOB", "dnat_port": "USMALLINT",
    "start_ns": "BIGINT", "duration_ns": "BIGINT", "stop_after_ns": "BIGINT",
    "end_reason": "UTINYINT", "start_from": "UTINYINT", "stop_from": "UTINYINT",
    "orig_packets": "UBIGINT", "orig_bytes": "UBIGINT", "reply_packets": "UBIGINT", "reply_bytes": "UBIGINT",
    "prior_orig_packets": "UBIGINT", "prior_orig_bytes": "UBIGINT",
    "prior_reply_packets": "UBIGINT", "prior_reply_bytes": "UBIGINT",
    "status": "UINTEGER", "state": "UTINYINT", "mark": "UINTEGER",
    "zone": "USMALLINT", "orig_zone": "USMALLINT", "reply_zone": "USMALLINT", "labels": "BLOB",
    "helper": "VARCHAR", "secctx": "VARCHAR", "portid": "UINTEGER",
    "master_l4proto": "UTINYINT", "master_src": "UINTEGER", "master_src6": "BLOB", "master_sport": "USMALLINT",
    "master_dst": "UINTEGER", "master_dst6": "BLOB", "master_dport": "USMALLINT",
    "flow_id": "UBIGINT", "record_no": "UINTEGER", "exporter": "VARCHAR", "domain": "UINTEGER",
    "elements": "VARCHAR", "unknown": "VARCHAR", "seq": "UBIGINT", "id": "UINTEGER",
}  # fmt: skip

PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmpv6", 132: "sctp", 136: "udplite"}
TCP = [
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
]
SCTP = [
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
    "HEARTBEAT_ACKED",
]
DCCP = ["NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID"]
REASONS = ["unknown", "idle_timeout", "active_timeout", "end_detected", "forced_end", "lack_of_resources"]
FROM = {1: "kernel", 2: "event", 3: "received", 4: "seen", 5: "exporter"}


def word(column: str, words: Mapping[int, str] | Sequence[str], otherwise: str = "NULL") -> str:
    """A number's word as SQL."""
    pairs = dict(words) if isinstance(words, Mapping) else dict(enumerate(words))
    cases = " ".join(f"WHEN {number} THEN '{name}'" for number, name in pairs.items())
    return f"CASE {column} {cases} ELSE {otherwise} END"


#: RFC 5952: the longest run of two or more zero groups, the first of equals, becomes `::`.
_RUNS = " ".join(
    f"WHEN contains(t, '{':0' * n}:') THEN substr(t, 2, greatest(strpos(t, '{':0' * n}:') - 2, 0)) || '::' || "
    f"rtrim(substr(t, strpos(t, '{':0' * n}:') + {2 * n + 1}), ':')"
    for n in range(8, 1, -1)
)
_GROUPS = (
    "':' || "
    + " || ':' || ".join(f"coalesce(nullif(ltrim(substr(h, {4 * n + 1}, 4), '0'), ''), '0')" for n in range(8))
    + " || ':'"
)

MACROS = f"""\
-- An address column as text, and text as what an address column holds.
CREATE OR REPLACE MACRO ip4(a) AS (a >> 24) || '.' || ((a >> 16) & 255) || '.' || ((a >> 8) & 255) || '.' || (a & 255);
-- (Lists of one element stand for names: what is in them is worked out once.)
CREATE OR REPLACE MACRO ip6_groups(b) AS [{_GROUPS} FOR h IN [lower(hex(b))]][1];
CREATE OR REPLACE MACRO ip6(b) AS CASE WHEN b IS NOT NULL THEN [CASE {_RUNS} ELSE trim(t, ':') END FOR t IN [ip6_groups(b)]][1] END;
CREATE OR REPLACE MACRO ip(a, b) AS coalesce(ip4(a), ip6(b));
CREATE OR REPLACE MACRO to_ip4(t) AS (split_part(t, '.', 1)::UINTEGER * 16777216 + split_part(t, '.', 2)::UINTEGER * 65536
  + split_part(t, '.', 3)::UINTEGER * 256 + split_part(t, '.', 4)::UINTEGER)::UINTEGER;
"""


def empty() -> str:
    """A relation that has every column and no row: files that lack columns join it by name."""
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
    return f"SELECT {columns} WHERE false"


def records_view(files: Iterable[str], *, glob: bool = False) -> str:
    """`records`: the files as they are."""
    parts = [empty()]
    files = list(files)
    if files:
        listed = duck.text(files[0]) if glob else duck.texts(files)
        parts.append(f"SELECT * FROM read_parquet({listed}, union_by_name = true)")
    joined = "\nUNION ALL BY NAME ".join(parts)
    return f"CREATE OR REPLACE VIEW records AS\n{joined};\n"


_ICMP = "l4proto IN (1, 58)"


def columns_of_flows() -> dict[str, str]:
    """Name → expression, named as in docs/fields.md."""

    def port(expression: str) -> str:
        return f"CASE WHEN NOT {_ICMP} THEN {expression} END"

    made = {
        "kind": word("kind", ["FLOW", "INTERIM", "BINDING", "OPEN"]),
        "protocol": word("l4proto", PROTOCOLS, "l4proto::VARCHAR"),
        "orig_src": "coalesce(ip(in_addr, in_addr6), ip(out_addr, out_addr6))",
        "orig_sport": port("coalesce(in_port, out_port)"),
        "orig_dst": "ip(dst_addr, dst_addr6)",
        "orig_dport": port("dst_port"),
        "reply_src": "coalesce(ip(dnat_addr, dnat_addr6), ip(dst_addr, dst_addr6))",
        "reply_sport": port("coalesce(dnat_port, dst_port)"),
        "reply_dst": "ip(out_addr, out_addr6)",
        "reply_dport": port("out_port"),
        "nat": word("nat", {1: "snat", 2: "dnat", 3: "snat,dnat"}),
        "start_ns": "make_timestamp_ns(start_ns)",
        "stop_ns": "CASE WHEN kind <> 3 THEN make_timestamp_ns(start_ns + duration_ns) END",
        "stop_after_ns": "make_timestamp_ns(stop_after_ns)",
        # When the record was made: the end, or up to when it is told of; of an open one the beginning.
        "last_ns": "make_timestamp_ns(start_ns + CASE WHEN kind <> 3 THEN coalesce(duration_ns, 0) ELSE 0 END)",
        "duration": "CASE WHEN kind <> 3 THEN duration_ns / 1e9 END",
        "end_reason": word("end_reason", REASONS),
    }
    for name in ("orig_packets", "orig_bytes", "reply_packets", "reply_bytes"):
        made[name] = name
    # What this record adds to earlier ones of its flow: these add up, totals do not.
    for what in ("packets", "bytes"):
        sides = [f"coalesce({way}_{what}, 0)::HUGEINT - coalesce(prior_{way}_{what}, 0)" for way in ("orig", "reply")]
        made[what] = (
            f"CASE WHEN kind = 2 OR coalesce(orig_{what}, reply_{what}) IS NULL THEN NULL ELSE ({' + '.join(sides)})::BIGINT END"
        )
    made |= {
        "orig_icmp_type": f"CASE WHEN {_ICMP} THEN dst_port >> 8 END",
        "orig_icmp_code": f"CASE WHEN {_ICMP} THEN dst_port & 255 END",
        "orig_icmp_id": f"CASE WHEN {_ICMP} THEN coalesce(in_port, out_port) END",
        "reply_icmp_id": f"CASE WHEN {_ICMP} THEN out_port END",
        "tcp_state": f"CASE WHEN l4proto = 6 THEN {word('state', TCP)} END",
        "sctp_state": f"CASE WHEN l4proto = 132 THEN {word('state', SCTP)} END",
        "dccp_state": f"CASE WHEN l4proto = 33 THEN {word('state', DCCP)} END",
        "start_from": word("start_from", FROM),
        "stop_from": word("stop_from", FROM),
        "master_src": "ip(master_src, master_src6)",
        "master_dst": "ip(master_dst, master_dst6)",
    }
    taken = {"duration_ns", "state"} | {name for name in COLUMNS if name.startswith(("out_", "in_", "dst_", "dnat_"))}
    taken |= {"master_src6", "master_dst6"}
    for name in COLUMNS:
        if name not in taken and name not in made:
            made[name] = name
    return made


def flows_select(source: str = "records") -> str:
    """What people read of *source*."""
    columns = ",\n  ".join(
        f"{expression} AS {name}" if expression != name else name for name, expression in columns_of_flows().items()
    )
    return f"SELECT\n  {columns}\nFROM {source}"


def flows_view() -> str:
    """`flows`: what people read."""
    return f"CREATE OR REPLACE VIEW flows AS {flows_select()};\n"


def values_view(name: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> str:
    """A view of rows that stand in the statement itself. *columns*: name → type."""

    def literal(value: object) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, int) else duck.text(str(value))

    named = ", ".join(
        f"v.{column}::{kind} AS {column}" if not kind.startswith("make") else f"{kind}(v.{column}) AS {column}"
        for column, kind in columns.items()
    )
    listed = [f"({', '.join(literal(value) for value in row)})" for row in rows]
    limit = "" if listed else " WHERE false"
    listed = listed or [f"({', '.join('NULL' for _ in columns)})"]
    return f"CREATE OR REPLACE VIEW {name} AS SELECT {named}\nFROM (VALUES {', '.join(listed)}) v({', '.join(columns)}){limit};\n"
