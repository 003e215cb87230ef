"""Rule sets of nft's JSON written short, for tests."""

from __future__ import annotations

import json
from typing import Any

from conntap.rules.nft import read_nft
from conntap.rules.packet import Asked

ACCEPT, DROP, RETURN = {"accept": None}, {"drop": None}, {"return": None}


def jump(chain: str) -> dict[str, Any]:
    return {"jump": {"target": chain}}


def goto(chain: str) -> dict[str, Any]:
    return {"goto": {"target": chain}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


def ct(key: str) -> dict[str, Any]:
    return {"ct": {"key": key}}


DPORT, SADDR, IIFNAME, STATE, MARK = (
    payload("tcp", "dport"),
    payload("ip", "saddr"),
    meta("iifname"),
    ct("state"),
    meta("mark"),
)


def match(left: object, right: object, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def span(first: int, last: int) -> dict[str, Any]:
    return {"range": [first, last]}


def dport(right: object, op: str = "==") -> dict[str, Any]:
    return match(DPORT, right, op)


def chain(name: str, *rules: list[Any], **base: Any) -> list[dict[str, Any]]:
    place = {"family": "inet", "table": "t"}
    head = {"chain": {**place, "name": name, **base}}
    return [
        head,
        *({"rule": {**place, "chain": name, "handle": at, "expr": expr}} for at, expr in enumerate(rules, 1)),
    ]


def forward(
    *rules: list[Any],
    name: str = "fwd",
    prio: int = 0,
    policy: str = "drop",
    hook: str = "forward",
    kind: str = "filter",
):
    return chain(name, *rules, type=kind, hook=hook, prio=prio, policy=policy)


def text_of(*items: list[dict[str, Any]]) -> str:
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *(one for part in items for one in part)]})


def rules_of(*items: list[dict[str, Any]]):
    return read_nft(text_of(*items))


def new(**said: Any) -> Asked:
    said.setdefault("hook", "forward")
    said.setdefault("nfproto", 4)
    return Asked(**said)


def plain(spans: Any) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in spans]
