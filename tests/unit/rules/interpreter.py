"""Small random rule sets, and an interpreter of them that knows one packet at a time and nothing of conntap."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import strategies as st

from unit.rules.written import (
    ACCEPT,
    DPORT,
    DROP,
    IIFNAME,
    MARK,
    RETURN,
    SADDR,
    STATE,
    chain,
    forward,
    goto,
    jump,
    match,
    meta,
    span,
)

PORTS = range(1, 13)
NAMES = ("lan", "wan", "wan2")
SOURCES = ("10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.9")
STATES = ("new", "related", "established")
INNER = ("a", "b", "c")

number = st.sampled_from(list(PORTS))
spans = st.tuples(number, number).map(lambda pair: span(min(pair), max(pair)))
apart = st.sets(number, min_size=1, max_size=4).map(lambda ports: {"set": sorted(ports)})
network = st.sampled_from([{"prefix": {"addr": "10.0.0.0", "len": 24}}, {"prefix": {"addr": "10.0.0.0", "len": 8}}])
matches = st.one_of(
    st.builds(match, st.just(DPORT), st.one_of(number, spans, apart), st.sampled_from(["==", "!="])),
    st.builds(match, st.just(DPORT), number, st.sampled_from(["<", ">", "<=", ">="])),
    st.builds(match, st.just(SADDR), st.one_of(st.sampled_from(SOURCES), network), st.sampled_from(["==", "!="])),
    st.builds(match, st.just(IIFNAME), st.sampled_from([*NAMES, "wan*"]), st.sampled_from(["==", "!="])),
    st.builds(match, st.just(STATE), st.lists(st.sampled_from(STATES), min_size=1, max_size=2), st.just("in")),
    st.builds(match, st.just(MARK), st.integers(0, 2), st.sampled_from(["==", "!="])),
    st.builds(match, st.just(meta("l4proto")), st.sampled_from(["tcp", "udp"])),
)
concatenated = st.builds(
    lambda pairs: match({"concat": [IIFNAME, DPORT]}, {"set": [{"concat": [name, port]} for name, port in pairs]}),
    st.sets(st.tuples(st.sampled_from(NAMES), number), min_size=1, max_size=3).map(sorted),
)
changes = st.builds(lambda value: {"mangle": {"key": MARK, "value": value}}, st.integers(0, 2))
changes |= st.just({"mangle": {"key": MARK, "value": {"|": [MARK, 1]}}}) | st.just({"counter": {}})


@st.composite
def verdicts(draw: Any, targets: tuple[str, ...]) -> dict[str, Any]:
    kinds = [ACCEPT, DROP, RETURN, *(jump(name) for name in targets), *(goto(name) for name in targets)]
    if draw(st.integers(0, 3)):
        return draw(st.sampled_from(kinds))
    ports = draw(st.lists(number, min_size=1, max_size=3, unique=True))
    return {"vmap": {"key": DPORT, "data": {"set": [[port, draw(st.sampled_from(kinds))] for port in ports]}}}


@st.composite
def rules(draw: Any, targets: tuple[str, ...]) -> list[dict[str, Any]]:
    asked = draw(st.lists(matches | concatenated, max_size=2))
    done = draw(st.lists(changes, max_size=1))
    if draw(st.integers(0, 4)):
        done.append(draw(verdicts(targets)))
    return [*asked, *done]


@st.composite
def rulesets(draw: Any) -> list[list[dict[str, Any]]]:
    """Chains of nft's JSON: inner ones jump to later ones alone, so that there are no circles."""
    parts = []
    for at, name in enumerate(INNER):
        parts.append(chain(name, *draw(st.lists(rules(INNER[at + 1 :]), max_size=3))))
    for prio in range(draw(st.integers(1, 2))):
        policy = draw(st.sampled_from(["accept", "drop"]))
        listed = draw(st.lists(rules(INNER), min_size=1, max_size=5))
        parts.append(forward(*listed, name=f"base{prio}", prio=prio, policy=policy))
    return parts


class Interpreter:
    """One packet goes through the JSON as nft(8) says."""

    def __init__(self, parts: list[list[dict[str, Any]]], packet: dict[str, Any]) -> None:
        self.packet = {"mark": 0, **packet}
        self.bases = []
        self.chains: dict[str, list[list[dict[str, Any]]]] = {}
        for item in (one for part in parts for one in part):
            if "chain" in item:
                self.chains[item["chain"]["name"]] = []
                if "hook" in item["chain"]:
                    self.bases.append(item["chain"])
            else:
                self.chains[item["rule"]["chain"]].append(item["rule"]["expr"])

    def accepted(self) -> bool:
        for base in sorted(self.bases, key=lambda one: one["prio"]):
            verdict = self.walk(base["name"]) or base["policy"]
            if verdict == "drop":
                return False
        return True

    def walk(self, name: str) -> str:
        """ "accept", "drop", or "" where the chain ends without."""
        for parts in self.chains[name]:
            found = self.rule(parts)
            if found == "return":
                return ""
            if found.startswith("goto "):
                return self.walk(found[5:])
            if found:
                return found
        return ""

    def rule(self, parts: list[dict[str, Any]]) -> str:
        for part in parts:
            [(kind, inner)] = part.items()
            if kind == "match":
                if not self.fits(inner):
                    return ""
            elif kind == "mangle":
                value = inner["value"]
                self.packet["mark"] = value if isinstance(value, int) else self.packet["mark"] | 1
            elif kind == "vmap":
                if self.packet["l4proto"] != "tcp":
                    return ""
                for port, verdict in inner["data"]["set"]:
                    if port == self.packet["dport"]:
                        return self.verdict(verdict)
            elif kind != "counter":
                return self.verdict(part)
        return ""

    def verdict(self, part: dict[str, Any]) -> str:
        [(kind, inner)] = part.items()
        if kind == "jump":
            return self.walk(inner["target"])
        return f"goto {inner['target']}" if kind == "goto" else kind

    def fits(self, asked: dict[str, Any]) -> bool:
        left, right, op = asked["left"], asked["right"], asked["op"]
        if "concat" in left:
            mine = [self.value(part) for part in left["concat"]]
            return any(row["concat"] == mine for row in right["set"])
        mine = self.value(left)
        if mine is None:
            return False
        match op:
            case "<":
                return mine < right
            case ">":
                return mine > right
            case "<=":
                return mine <= right
            case ">=":
                return mine >= right
            case "in":
                return mine in right
            case _:
                return self.equal(mine, right) == (op == "==")

    def value(self, left: dict[str, Any]) -> Any:
        """None: the packet has no such field."""
        [(kind, inner)] = left.items()
        if kind == "payload" and inner["protocol"] == "tcp" and self.packet["l4proto"] != "tcp":
            return None
        return self.packet[inner.get("field") or {"state": "ct_state"}.get(inner["key"], inner["key"])]

    def equal(self, mine: Any, right: Any) -> bool:
        if isinstance(right, dict) and "set" in right:
            return any(self.equal(mine, one) for one in right["set"])
        if isinstance(right, dict) and "range" in right:
            return right["range"][0] <= mine <= right["range"][1]
        if isinstance(right, dict):
            prefix = right["prefix"]
            return IPv4Address(mine) in IPv4Network((prefix["addr"], prefix["len"]))
        if isinstance(right, str) and right.endswith("*"):
            return mine.startswith(right[:-1])
        return mine == right
