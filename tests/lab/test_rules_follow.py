"""What `follow` says of a rule set, held against the kernel: packets are really sent through the gateway.

Each rule set is random. A packet that passes all its chains is counted by a set of our own at the end of the forward
hook, one that arrives by another at the beginning of prerouting.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from ipaddress import IPv4Address

import pytest

from conntap.lab import CLIENT, SERVER, Lab, NamespaceError, NetfilterError, kernel
from conntap.rules.follow import follow
from conntap.rules.model import Span
from conntap.rules.nft import read_nft
from conntap.rules.packet import Asked

PORTS = range(1001, 1013)
PROTOCOLS = {"tcp": 6, "udp": 17}
#: (interface it comes in by, by which it leaves, sources, destination)
WAYS = (
    ("inside", "outside", (CLIENT, "10.0.0.77", "192.0.2.9"), SERVER),
    ("outside", "inside", ("203.0.113.254", "198.51.100.9"), CLIENT),
)
RANDOM_SETS = 30

#: Beside the rules: who arrived, and who was let through. The rules' own packets alone have the source port.
COUNTING = """
table inet counting {{
    set arrived {{ type ifname . ipv4_addr . inet_proto . inet_service; size 65535; flags dynamic; }}
    set passed {{ type ifname . ipv4_addr . inet_proto . inet_service; size 65535; flags dynamic; }}
    chain first {{
        type filter hook prerouting priority -500; policy accept;
        th sport {sport} add @arrived {{ iifname . ip saddr . meta l4proto . th dport }}
    }}
    chain last {{
        type filter hook forward priority 500; policy accept;
        th sport {sport} add @passed {{ iifname . ip saddr . meta l4proto . th dport }}
    }}
}}
"""


@pytest.fixture(scope="module")
def box():
    """A lab of its own, whose gateway has no rules."""
    if not kernel.has_sys_admin():
        pytest.skip("the kernel refuses a user namespace, or this is not `make test`")
    try:
        lab = Lab().__enter__()
    except NamespaceError as error:
        pytest.skip(f"the kernel refuses a user namespace: {error}")
    except NetfilterError as error:
        pytest.skip(f"the kernel has no netfilter here: {error}")
    with lab:
        lab.gateway.sysctl({f"ipv4/conf/{name}/rp_filter": 0 for name in ("all", "inside", "outside")})
        lab.server.run(["ip", "route", "add", "10.0.0.0/24", "via", "203.0.113.1"])
        yield lab


class Chance:
    """Random rule sets in nft's own words."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def ports(self) -> str:
        draw = self.draw
        first, last = sorted((draw.choice(PORTS), draw.choice(PORTS)))
        several = ", ".join(map(str, sorted(draw.sample(PORTS, 3))))
        return draw.choice([str(first), f"{first}-{last}", f"{{ {several} }}", f"!= {first}", f">= {first}", "@ports"])

    def condition(self, protocol: str) -> str:
        draw = self.draw
        address = draw.choice(
            [CLIENT, "10.0.0.0/24", "192.0.2.0-192.0.2.255", "@hosts", f"!= {CLIENT}", "203.0.113.254"]
        )
        name = draw.choice(["inside", "outside", "out*", "eth7"])
        states = draw.choice(["new", "established,related", "new,untracked", "{ new, invalid }", "!= new"])
        pairs = ", ".join(f'"{draw.choice(["inside", "outside"])}" . {port}' for port in sorted(draw.sample(PORTS, 4)))
        return draw.choice(
            [
                f"{protocol} dport {self.ports()}",
                f"th dport {self.ports()}",
                f"ip saddr {address}",
                f'iifname {draw.choice(["", "!= "])}"{name}"',
                f'oifname "{name}"',
                f"ct state {states}",
                f"meta mark {draw.choice(['', '!= '])}{draw.randrange(3)}",
                f"meta mark & 1 == {draw.randrange(2)}",
                f"iifname . {protocol} dport {{ {pairs} }}",
                f"meta l4proto {protocol}",
                "tcp flags & (syn | ack) == syn" if protocol == "tcp" else "meta nfproto ipv4",
                "ct status ! dnat",
                f"ct original ip daddr {draw.choice([SERVER, CLIENT])}",
            ]
        )

    def verdict(self, chains: list[str], protocol: str) -> str:
        draw = self.draw
        jumps = [f"{kind} {name}" for name in chains for kind in ("jump", "goto")]
        kinds = ["accept", "drop", "return", *jumps]
        if draw.random() < 0.2:
            entries = ", ".join(f"{port} : {draw.choice(kinds)}" for port in sorted(draw.sample(PORTS, 3)))
            return f"{protocol} dport vmap {{ {entries} }}"
        return draw.choice(kinds)

    def rule(self, chains: list[str]) -> str:
        draw = self.draw
        protocol = draw.choice(["tcp", "udp"])  # nft takes no rule that asks for both
        parts = [self.condition(protocol) for _ in range(draw.choice([0, 1, 1, 2]))]
        if draw.random() < 0.15:
            return " ".join([*parts, f"meta mark set {draw.choice(['1', '2', 'meta mark | 1', 'meta mark & 2'])}"])
        return " ".join([*parts, "counter", self.verdict(chains, protocol)])

    def table(self) -> str:
        draw = self.draw
        parts = [
            f"set ports {{ type inet_service; flags interval; elements = {{ {PORTS[0]}-{PORTS[3]}, {PORTS[8]} }}; }}",
            "set hosts { type ipv4_addr; elements = { 10.0.0.77, 198.51.100.9 }; }",
        ]
        inner = ["c", "b", "a"]
        for at, name in enumerate(inner):
            parts.append(_chain(name, "", [self.rule(inner[:at]) for _ in range(2)]))
        pre = [self.rule(["c"]) for _ in range(2)]
        parts.append(_chain("pre", "type filter hook prerouting priority mangle; policy accept;", pre))
        for at, count in enumerate((4, 2)[: draw.choice([1, 2])]):
            policy = draw.choice(["accept", "drop"])
            head = f"type filter hook forward priority {at}; policy {policy};"
            parts.append(_chain(f"base{at}", head, [self.rule(inner) for _ in range(count)]))
        return "table inet dice {\n" + "\n".join(parts) + "\n}\n"


def _chain(name: str, head: str, rules: list[str]) -> str:
    lines = "".join(f"  {line}\n" for line in [head, *rules] if line)
    return f"chain {name} {{\n{lines}}}"


def packet(source: str, target: str, protocol: str, sport: int, dport: int) -> bytes:
    """IPv4 with the start of a TCP connection or an empty UDP datagram; IP's own sum is made by the kernel."""
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    if protocol == "udp":
        inner = struct.pack("!HHHH", sport, dport, 8, 0)
    else:
        inner = struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 0x50, 0x02, 1024, 0, 0)
        whole = ends + struct.pack("!HH", 6, len(inner)) + inner
        total = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        inner = inner[:16] + struct.pack("!H", ~total & 0xFFFF) + inner[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 0, 0, 64, PROTOCOLS[protocol], 0)
    return head + ends + inner


def send(packets: list[tuple[str, bytes]]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as handle:
        for target, data in packets:
            handle.sendto(data, (target, 0))


def everything():
    """(way, protocol, source) of every packet, all ports of which are sent."""
    return [(way, protocol, source) for way in WAYS for protocol in PROTOCOLS for source in way[2]]


def listed(lab: Lab, name: str) -> set[tuple[str, str, str, int]]:
    items = json.loads(lab.gateway.run(["nft", "-j", "list", "set", "inet", "counting", name]))["nftables"]
    [elements] = [item["set"].get("elem", []) for item in items if "set" in item]
    return {tuple((part.get("elem") or {}).get("val", part)["concat"]) for part in elements}  # type: ignore[misc]


def sent_through(lab: Lab, rules: str, sport: int) -> tuple[str, set[tuple[str, str, str, int]]]:
    """Load rules, send everything: (the rule set as nft prints it, who passed)."""
    lab.reset()
    lab.gateway.run(["nft", "-f", "-"], input=f"flush ruleset\n{COUNTING.format(sport=sport)}\n{rules}")
    text = lab.gateway.run(["nft", "-j", "list", "ruleset"])
    for host, way in ((lab.client, WAYS[0]), (lab.server, WAYS[1])):
        packets = [
            (way[3], packet(source, way[3], protocol, sport, port))
            for protocol in PROTOCOLS
            for source in way[2]
            for port in PORTS
        ]
        host.call(send, packets)
    wanted = {(way[0], source, protocol, port) for way, protocol, source in everything() for port in PORTS}
    deadline = time.monotonic() + 10
    while listed(lab, "arrived") != wanted:
        assert time.monotonic() < deadline, f"not all packets arrived: {wanted - listed(lab, 'arrived')}"
    return text, listed(lab, "passed")


def accepted(text: str, sport: int) -> set[tuple[str, str, str, int]]:
    """Who passes by what `follow` says; nothing may be left unsure."""
    rules = read_nft(text)
    assert not rules.faults
    found = set()
    for (iif, oif, _, target), protocol, source in everything():
        common = {
            "iifname": iif,
            "saddr": int(IPv4Address(source)),
            "daddr": int(IPv4Address(target)),
            "l4proto": PROTOCOLS[protocol],
            "sport": sport,
            "dports": (Span(PORTS[0], PORTS[-1]),),
        }
        before = follow(rules, Asked("prerouting", 4, **common))
        after = follow(rules, Asked("forward", 4, oifname=oif, **common))
        assert not before.unsure, before.reasons
        assert not _ports(before.accepted) & _ports(after.unsure), after.reasons
        passed = [
            {port for span in one.accepted for port in range(span.first, span.last + 1)} for one in (before, after)
        ]
        found |= {(iif, source, protocol, port) for port in passed[0] & passed[1]}
    return found


def _ports(spans: tuple[Span, ...]) -> set[int]:
    return {port for span in spans for port in range(span.first, span.last + 1)}


@pytest.mark.parametrize("seed", range(RANDOM_SETS))
def test_random_rules(box, seed):
    rules = Chance(seed).table()
    text, passed = sent_through(box, rules, 40_000 + seed)
    assert accepted(text, 40_000 + seed) == passed, rules


#: What is said in the code of the kernel's ways, rule by rule: hook, priority, rule.
SAID = {
    "invalid before connections are looked up": ("prerouting", "raw", "ct state invalid drop"),
    "no field of a connection before they are": ("prerouting", "raw", "ct mark != 7 drop"),
    "invalid is over afterwards": ("prerouting", "mangle", "ct state invalid drop"),
    "no helper is no other helper": ("forward", "0", 'ct helper != "ftp" drop'),
    "no name of an interface is another name": ("prerouting", "mangle", 'oifname != "outside" drop'),
    "one state is never two": ("forward", "0", "ct state != established,related drop"),
    "a first packet is of the original direction": ("forward", "0", "ct direction reply drop"),
    "what is forwarded is for this host": ("forward", "0", "meta pkttype != host drop"),
    "return ends a base chain by its policy": ("forward", "0", "tcp dport 1001 return\n  tcp dport 1001-1003 drop"),
    "limits of the map": ("forward", "0", "tcp dport vmap { 1001 : drop, 1002-1004 : accept, * : drop }"),
    "a mark is nothing at first": ("forward", "0", "meta mark 0 udp dport 1001 drop"),
    "a connection's mark, too": ("forward", "0", "ct mark 0 udp dport 1001 drop"),
    "the transport of the connection": ("forward", "0", "ct protocol udp drop"),
    "a SYN has nothing but SYN": ("forward", "0", "tcp flags != syn drop"),
    "bits": ("forward", "0", "tcp dport & 1 == 1 drop"),
    "the first rule that fits decides": ("forward", "-5", "tcp dport 1001 accept\n  ip saddr 10.0.0.77 drop"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_a_saying(box, name):
    hook, priority, rule = SAID[name]
    head = f"type filter hook {hook} priority {priority}; policy accept;"
    sport = 41_000 + list(SAID).index(name)
    text, passed = sent_through(box, "table inet said {\n" + _chain("c", head, [rule]) + "\n}\n", sport)
    assert accepted(text, sport) == passed


def test_the_text_of_every_rule_can_be_loaded_again(box, root):
    """What `Place.text` says of each rule is what nft takes, to the same effect."""
    data = root / "tests/data/rules"
    box.gateway.run(["nft", "-f", "-"], input="flush ruleset\n" + (data / "everything.nft").read_text())
    before = box.gateway.run(["nft", "-j", "list", "ruleset"])
    rules = read_nft(before)
    box.gateway.run(
        ["nft", "-f", "-"],
        input="".join(
            f"flush chain {chain.place.family} {chain.place.table} {chain.place.chain}\n"
            for chain in rules.chains.values()
        )
        + "".join(
            f"add rule {rule.place.family} {rule.place.table} {rule.place.chain} {rule.place.text}\n"
            for chain in rules.chains.values()
            for rule in {one.place: one for one in chain.rules}.values()
        ),
    )
    after = box.gateway.run(["nft", "-j", "list", "ruleset"])
    assert _plain(after) == _plain(before)


def _plain(text: str) -> list[str]:
    """Rules and chains without handles, which are others now."""
    found = []
    for item in json.loads(text)["nftables"]:
        [(kind, inner)] = item.items()
        found.append(f"{kind} {json.dumps(_sorted({**inner, 'handle': 0}), sort_keys=True)}")
    return found


def _sorted(value: object) -> object:
    """Elements of sets have no order."""
    if isinstance(value, dict):
        return {
            key: sorted(part, key=json.dumps) if key == "set" and isinstance(part, list) else _sorted(part)
            for key, part in value.items()
        }
    return [_sorted(part) for part in value] if isinstance(value, list) else value
