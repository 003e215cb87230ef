"""Reads the lines of the original `conntrack -E`: a judge that shares no code with conntap."""

from __future__ import annotations

import re

from conntap.lab.scenarios.facts import Ends, Seen

PAIR = re.compile(r"(\S+?)=(\S+)")
KIND = re.compile(r"\[(NEW|UPDATE|DESTROY)\]")


def flow_seen(line: str) -> Seen:
    """A line of `conntrack -E`; it does not tell whether the flow is RELATED, nor its master."""
    values: dict[str, list[str]] = {}
    for name, value in PAIR.findall(line):
        values.setdefault(name, []).append(value)
    words = line[line.index("]") + 1 :].split()
    return Seen(
        kind=KIND.findall(line)[0],
        protocol=int(words[1]),
        original=ends(values, 0),
        reply=ends(values, 1),
        helper=values.get("helper", [None])[0],
    )


def expectation_seen(line: str) -> Seen:
    """A line of `conntrack -E expect`: ports of the tuple, of the mask, of the master."""
    values: dict[str, list[str]] = {}
    for name, value in PAIR.findall(line):
        values.setdefault(name, []).append(value)
    return Seen(
        kind=f"EXP_{KIND.findall(line)[0]}",
        protocol=int(values["proto"][0]),
        original=ends(values, 0),
        helper=values["helper"][0],
        master=Ends(values["master-src"][0], values["master-dst"][0], int(values["sport"][2]), int(values["dport"][2])),
    )


def ends(values: dict[str, list[str]], at: int) -> Ends:
    ports = [int(values[name][at]) if name in values else None for name in ("sport", "dport")]
    return Ends(values["src"][at], values["dst"][at], *ports)
