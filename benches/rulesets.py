"""Large rule sets of nftables, as `nft -j list ruleset` prints them: what a gateway with many customers has.

make_rules(n) gives the text; the same n always the same. python -m benches.rulesets 10000 > FILE
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

__all__ = ["make_rules"]

Json = dict[str, Any]

PLACE = {"family": "inet", "table": "filter"}
#: Rules of one customer's chain.
PER_CUSTOMER = 40
SERVICES = (22, 25, 53, 80, 110, 123, 143, 443, 465, 587, 993, 995, 1194, 3306, 3389, 5060, 5432, 8080, 8443, 51820)


def make_rules(n: int, seed: int = 7) -> str:
    """A rule set of about *n* rules: states first, then a jump for each customer's network, then lists of hosts.

    Two thirds are in customers' chains of 40 rules, which a packet meets by its destination; one third is one long list
    in the forward chain itself (addresses, ports, interfaces, both IP versions), which every packet has to pass.
    """
    chance = random.Random(seed)
    customers = max(1, n * 2 // 3 // (PER_CUSTOMER + 1))
    items: list[Json] = [
        {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
        {"table": {"family": "inet", "name": "filter"}},
    ]
    items += _helpers()
    bases = [
        ("prerouting", "prerouting", "accept", -150),
        ("forward", "forward", "drop", 0),
        ("input", "input", "drop", 0),
    ]
    for name, hook, policy, prio in bases:
        items.append({"chain": {**PLACE, "name": name, "type": "filter", "hook": hook, "prio": prio, "policy": policy}})
    names = [f"customer-{number}" for number in range(customers)]
    items += [{"chain": {**PLACE, "name": name}} for name in names]
    handle = iter(range(100, 100 + 4 * n + 1000))

    def add(chain: str, *parts: Json) -> None:
        items.append({"rule": {**PLACE, "chain": chain, "handle": next(handle), "expr": list(parts)}})

    for name, port in (("ftp", 21), ("sip", 5060)):
        add("prerouting", match(payload("udp" if name == "sip" else "tcp", "dport"), port), {"ct helper": name})
    states = match({"ct": {"key": "state"}}, "established", "in")
    related = match({"ct": {"key": "state"}}, "related", "in")
    for chain in ("forward", "input"):
        add(chain, states, {"accept": None})
        add(chain, match({"ct": {"key": "state"}}, "invalid", "in"), {"drop": None})
        add(
            chain,
            related,
            match({"ct": {"key": "helper"}}, "ftp"),
            match(payload("tcp", "dport"), {"range": [1024, 65535]}),
            {"accept": None},
        )
    for number, name in enumerate(names):
        add("forward", match(payload("ip", "daddr"), _network(number)), {"jump": {"target": name}})
        for _ in range(PER_CUSTOMER):
            add(name, *_service(chance, number))
    while len(items) < n + customers + 8:
        add("forward", *_listed(chance))
    add("forward", {"counter": {"packets": 1, "bytes": 60}}, {"log": {"prefix": "dropped "}}, {"drop": None})
    return json.dumps({"nftables": items})


def match(left: Json, right: object, op: str = "==") -> Json:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> Json:
    return {"payload": {"protocol": protocol, "field": field}}


def _helpers() -> list[Json]:
    return [
        {"ct helper": {**PLACE, "name": name, "type": name, "protocol": protocol, "l3proto": "inet"}}
        for name, protocol in (("ftp", "tcp"), ("sip", "udp"))
    ]


def _network(number: int) -> Json:
    return {"prefix": {"addr": f"10.{number >> 8}.{number & 255}.0", "len": 24}}


def _service(chance: random.Random, customer: int) -> list[Json]:
    """One host's service, from anywhere or from one network."""
    protocol = chance.choice(("tcp", "tcp", "udp"))
    parts = [match(payload("ip", "daddr"), f"10.{customer >> 8}.{customer & 255}.{chance.randrange(1, 255)}")]
    if chance.random() < 0.3:
        parts.append(
            match(payload("ip", "saddr"), {"prefix": {"addr": f"{chance.randrange(11, 200)}.0.0.0", "len": 8}})
        )
    ports: object = chance.choice(SERVICES)
    if chance.random() < 0.2:
        first = chance.randrange(1024, 60000)
        ports = {"range": [first, first + chance.randrange(1, 500)]}
    elif chance.random() < 0.2:
        ports = {"set": sorted(chance.sample(SERVICES, 4))}
    return [*parts, match(payload(protocol, "dport"), ports), {"counter": {"packets": 0, "bytes": 0}}, {"accept": None}]


def _listed(chance: random.Random) -> list[Json]:
    """One line of a long list: a source that is kept out, or let in to a port, of either IP version."""
    kind = chance.random()
    address = f"{chance.randrange(11, 223)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
    if kind < 0.4:
        return [match(payload("ip", "saddr"), address), {"drop": None}]
    if kind < 0.6:
        return [
            match(payload("ip6", "saddr"), f"2001:db8:{chance.randrange(65536):x}::{chance.randrange(1, 65536):x}"),
            {"drop": None},
        ]
    if kind < 0.8:
        interface = match({"meta": {"key": "iifname"}}, chance.choice(("wan", "lan", "dmz", "vpn0")))
        return [
            interface,
            match(payload("ip", "saddr"), address),
            match(payload("tcp", "dport"), chance.randrange(1, 65536)),
            {"accept": None},
        ]
    port = chance.randrange(1, 65000)
    return [
        match({"meta": {"key": "oifname"}}, chance.choice(("wan", "dmz"))),
        match(payload(chance.choice(("tcp", "udp")), "dport"), {"range": [port, port + chance.randrange(1, 200)]}),
        match(
            payload("ip", "saddr"),
            {"prefix": {"addr": f"{chance.randrange(11, 200)}.{chance.randrange(256)}.0.0", "len": 16}},
        ),
        {"accept": None},
    ]


if __name__ == "__main__":
    print(make_rules(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
