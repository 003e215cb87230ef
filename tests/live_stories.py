"""Real messages and hand-made gateways for stories of the live table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conntap import _core
from conntap.explain.live_table import Live
from conntap.explain.live_words import key_of
from conntap.gateway.state import Gateway
from golden.cli.stage import messages

if TYPE_CHECKING:
    from collections.abc import Sequence

#: inside 192.0.2.0/24, outside the rest: as in the samples of tests/data/ctnetlink.
ROUTES = [
    {"dst": "default", "gateway": "198.51.100.1", "dev": "wan"},
    {"dst": "192.0.2.0/24", "dev": "lan"},
    {"dst": "192.0.2.8/29", "dev": "dmz"},
]
ADDRESSES = [
    {"ifname": "lan", "flags": ["UP"], "addr_info": [{"family": "inet", "local": "192.0.2.254", "prefixlen": 24}]},
    {"ifname": "wan", "flags": ["UP"], "addr_info": [{"family": "inet", "local": "198.51.100.100", "prefixlen": 24}]},
]


def chain(name: str, hook: str, priority: int = 0, policy: str = "accept", *, table: str = "fw") -> dict[str, Any]:
    """A base chain as `nft -j list ruleset` writes it; hook "" of one that is jumped to."""
    about: dict[str, Any] = {"family": "inet", "table": table, "name": name, "handle": 1}
    if hook:
        about |= {"type": "filter", "hook": hook, "prio": priority, "policy": policy}
    return {"chain": about}


def rule(name: str, *expressions: dict[str, Any] | str, handle: int = 5, table: str = "fw") -> dict[str, Any]:
    """A rule; a word is a verdict."""
    parts = [{part: None} if isinstance(part, str) else part for part in expressions]
    return {"rule": {"family": "inet", "table": table, "chain": name, "handle": handle, "expr": parts}}


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def dport(port: int, protocol: str = "tcp") -> dict[str, Any]:
    return match({"payload": {"protocol": protocol, "field": "dport"}}, port)


def iifname(name: str) -> dict[str, Any]:
    return match({"meta": {"key": "iifname"}}, name)


def related() -> dict[str, Any]:
    return match({"ct": {"key": "state"}}, ["related"], "in")


def ct_helper(name: str) -> dict[str, Any]:
    return match({"ct": {"key": "helper"}}, name)


FTP_OBJECT = {"ct helper": {"family": "inet", "name": "f", "table": "fw", "handle": 2, "type": "ftp", "protocol": "tcp",
                            "l3proto": "inet"}}  # fmt: skip
SET_FTP = {"ct helper": "f"}
TABLE = {"table": {"family": "inet", "name": "fw", "handle": 1}}

#: Assigns ftp to what comes from inside, and lets its children in.
FTP_RULES = [
    TABLE,
    FTP_OBJECT,
    chain("pre", "prerouting"),
    rule("pre", iifname("lan"), dport(21), SET_FTP, handle=7),
    chain("fwd", "forward", policy="drop"),
    rule("fwd", related(), ct_helper("ftp"), "accept", handle=9),
]


def gateway(items: Sequence[dict[str, Any]]) -> Gateway:
    """A gateway with these rules."""
    return Gateway(
        {
            "nft.json": json.dumps(
                {"nftables": [{"metainfo": {"version": "1.1.0", "json_schema_version": 1}}, *items]}
            ),
            "routes.json": json.dumps(ROUTES),
            "addresses.json": json.dumps(ADDRESSES),
        }
    )


def expectation(name: str = "dump_exp_ftp") -> _core.Expectation:
    """One of a real dump."""
    return next(_core.Batch.of(messages(name)).expectations())


def flow(name: str = "dump_tcp_nat") -> _core.Flow:
    """One of a real dump."""
    return next(_core.Batch.of(messages(name)).flows())


def live(
    items: Sequence[dict[str, Any]] | None = (),
    *,
    flows: Sequence[_core.Flow] = (),
    expectations: Sequence[_core.Expectation] = (),
    **settings: int,
) -> Live:
    """Tables, and a gateway; None: its rules could not be read."""
    return Live(
        {key_of(one.original): one for one in flows},
        tuple(expectations),
        None if items is None else gateway(items),
        "'nft' is not installed" if items is None else "",
        settings,
        1_795_000_000_000_000_000,
    )
