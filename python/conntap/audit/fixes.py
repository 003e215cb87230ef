"""What closes a finding, as text for nft and iptables, with the gateway's own chains, interfaces and helpers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from conntap.audit.finding import Fix
from conntap.audit.known import HELPERS
from conntap.audit.words import port_texts, protocol
from conntap.rules.model import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.audit.assigned import Assignment
    from conntap.audit.view import View
    from conntap.rules.model import Place, Rule
    from conntap.rules.packet import Step

__all__ = ["drop_invalid", "known_servers", "limit_input", "limit_related", "networks_inside", "without_helper"]

HOOKS: Final = {"forward": "FORWARD", "input": "INPUT"}
#: What is left of RELATED behind the narrow rules.
REFUSED: Final = "ct state related drop"
DROPPED: Final = "-m conntrack --ctstate RELATED -j DROP"
#: An entry of a verdict map.
MAPPED_LAST: Final = r",\s*related\s*:\s*(?:(?:jump|goto)\s+)?[\w.-]+"
MAPPED: Final = r"\brelated\s*:\s*(?:(?:jump|goto)\s+)?[\w.-]+\s*,\s*"
#: Only what a server opens towards a client inside; lower ports are services.
HIGH: Final = "1024-65535"


def lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text)


def names(interfaces: tuple[str, ...]) -> str:
    """Interfaces as nft writes one or several."""
    quoted = [f'"{name}"' for name in interfaces]
    return quoted[0] if len(quoted) == 1 else f"{{ {', '.join(quoted)} }}"


def safe_helpers(view: View) -> list[str]:
    """Assigned helpers whose expectations only the contacted server can use."""
    return [name for name in view.helpers if name in HELPERS and not HELPERS[name].wild(view.gateway)]


def place_of(step: Step, hook: str, view: View) -> tuple[str, str, str]:
    """Family, table and chain that a fix of nft names."""
    if step.rule is not None and step.rule.place.source == "nft":
        return step.rule.place.family, step.rule.place.table, step.rule.place.chain
    named = [one.place for one in view.gateway.rules.chains.values() if one.hook == hook and one.place.source == "nft"]
    place = next((one for one in named if step.rule is None and one.chain == step.chain), named[0] if named else None)
    return (place.family, place.table, place.chain) if place else ("inet", "filter", hook)


def without_related(text: str) -> str:
    """A rule's text without `related`."""
    text = re.sub(r"\{\s*", "{ ", text)
    for pattern in (MAPPED_LAST, MAPPED, r",\s*related\b", r"\brelated\s*,\s*"):
        text = re.sub(pattern, "", text, flags=re.IGNORECASE)
    return text


def limit_related(step: Step, view: View) -> Fix:
    """RELATED by helper, from outside to inside, at ports of no service; and ICMP's errors."""
    inside, outside = names(view.sides.inside), names(view.sides.outside)
    safe = safe_helpers(view)
    nft = ['meta l4proto { icmp, ipv6-icmp } ct state related accept comment "errors"']
    for name in safe:
        for expected in view.expects(name):
            ports = (
                f" {protocol(expected.l4proto).lower()} dport {HIGH}"
                if expected.l4proto in (6, 17)
                else f" meta l4proto {expected.l4proto}"
            )
            if expected.to in ("client", "both"):
                nft.append(f'iifname {outside} oifname {inside} ct state related ct helper "{name}"{ports} accept')
            if expected.to in ("server", "both"):
                nft.append(f'iifname {inside} oifname {outside} ct state related ct helper "{name}"{ports} accept')
    return Fix(
        nft=as_nft(step, "forward", list(dict.fromkeys(nft)), view),
        iptables=as_iptables(step, "FORWARD", related_of_iptables(view, safe), view),
    )


def related_of_iptables(view: View, safe: list[str]) -> list[str]:
    """The same for iptables, one interface pair a rule."""
    found = ["-p icmp -m conntrack --ctstate RELATED -j ACCEPT"]
    for name in safe:
        for expected in view.expects(name):
            word = protocol(expected.l4proto).lower()
            ports = f"-p {word} --dport 1024:65535" if expected.l4proto in (6, 17) else f"-p {word}"
            for outside in view.sides.outside:
                for inside in view.sides.inside:
                    rest = f"{ports} -m conntrack --ctstate RELATED -m helper --helper {name} -j ACCEPT"
                    if expected.to in ("client", "both"):
                        found.append(f"-i {outside} -o {inside} {rest}")
                    if expected.to in ("server", "both"):
                        found.append(f"-i {inside} -o {outside} {rest}")
    return list(dict.fromkeys(found))


def limit_input(step: Step, view: View) -> Fix:
    """RELATED to the gateway itself: ICMP's errors, and what helpers of its own connections expect from known ends."""
    nft = ['meta l4proto { icmp, ipv6-icmp } ct state related accept comment "errors"']
    iptables = ["-p icmp -m conntrack --ctstate RELATED -j ACCEPT"]
    for name in safe_helpers(view):
        if not any(one.helper == name and one.hook == "output" for one in view.assigned):
            continue
        for expected in view.expects(name):
            if expected.l4proto not in (6, 17) or expected.to == "server":
                continue  # the gateway itself begins it
            word = protocol(expected.l4proto).lower()
            asks = expected.to == "gateway"
            sides = view.sides.inside if asks else view.sides.outside
            ports = (f"sport {HELPERS[name].port}",) * 2 if asks else (f"dport {HIGH}", "dport 1024:65535")
            nft.append(f'iifname {names(sides)} ct state related ct helper "{name}" {word} {ports[0]} accept')
            related = f"-m conntrack --ctstate RELATED -m helper --helper {name} -j ACCEPT"
            iptables += [f"-i {side} -p {word} --{ports[1]} {related}" for side in sides]
    return Fix(nft=as_nft(step, "input", nft, view), iptables=as_iptables(step, "INPUT", iptables, view))


def as_nft(step: Step, hook: str, more: list[str], view: View) -> str:
    """Commands of nft that let the narrow rules decide on RELATED, whatever accepts it now."""
    rule = step.rule
    family, table, chain = place_of(step, hook, view)
    head = f"rule {family} {table} {chain}"
    if rule is None:
        # The chain's policy accepts it: the head of the chain decides first. Each insert goes before the last one.
        return lines(*(f"insert {head} {text}" for text in reversed([*more, REFUSED])))
    if rule.place.source != "nft" or rule.place.handle is None:
        return lines(
            "# instead of the rule that accepts RELATED:",
            f"add {head} ct state established accept",
            *(f"add {head} {text}" for text in more),
        )
    handle = rule.place.handle
    if "related" not in rule.place.text.lower():
        return lines(*(f"insert {head} position {handle} {text}" for text in [*more, REFUSED]))
    old = without_related(rule.place.text)
    # Nothing behind them decides on RELATED any more: a rule on translated destinations would let it in all the same.
    more = [*more, REFUSED]
    if "related" in old.lower():
        # It was for RELATED alone: the narrow ones take its place.
        old, more = more[0], more[1:]
    # `add … position` puts a rule right behind that handle: the last one first.
    return lines(
        f"replace {head} handle {handle} {old}", *(f"add {head} position {handle} {text}" for text in reversed(more))
    )


def as_iptables(step: Step, hook: str, more: list[str], view: View) -> str:
    """Commands of iptables that do the same, by the rule's number."""
    rule = step.rule
    if rule is None or rule.place.source == "nft":
        return lines(
            "# before the rule that accepts RELATED, or instead of it:",
            *(f"iptables -A {hook} {text}" for text in [*more, DROPPED]),
        )
    program, chain = rule.place.source, rule.place.chain
    number = number_of(rule, view)
    table = "" if rule.place.table == "filter" else f" -t {rule.place.table}"
    if program == "ip6tables":
        more = [
            text.replace("-p icmp ", "-p ipv6-icmp ")
            for text in more
            if not any(f"--helper {name} " in text for name in ("irc", "pptp"))
        ]
    inserted = f"{program}{table} -I {chain}"
    if "related" not in rule.place.text.lower():
        return lines(*(f"{inserted} {number + at} {text}" for at, text in enumerate([*more, DROPPED])))
    old = re.sub(r"^\s*-A \S+ ", "", without_related(rule.place.text))
    more = [*more, DROPPED]
    if re.search(r"--ctstate \S*\bDNAT\b", old):
        # What an expectation translates is DNAT, too: the narrow ones go before.
        return lines(
            f"{program}{table} -R {chain} {number} {old}",
            *(f"{inserted} {number + at} {text}" for at, text in enumerate(more)),
        )
    if "related" in old.lower():
        old, more = more[0], more[1:]
    return lines(
        f"{program}{table} -R {chain} {number} {old}",
        *(f"{inserted} {number + at} {text}" for at, text in enumerate(more, start=1)),
    )


def number_of(rule: Rule, view: View) -> int:
    """A rule's number in its chain, from 1."""
    place = rule.place
    chain = view.gateway.rules.chains.get((place.source, place.family, place.table, place.chain))
    return next((at for at, one in enumerate(chain.rules, start=1) if one is rule), 1) if chain else 1


def known_servers(one: Assignment, view: View) -> Fix:
    """The helper for the servers that are used; of connections from inside, or the gateway's own."""
    place = one.rule.place if one.rule else None
    usual = HELPERS[one.helper].port if one.helper in HELPERS else 0
    ports = one.ports or (Span(usual, usual),)
    word = protocol(one.l4proto or (HELPERS[one.helper].l4protos[0] if one.helper in HELPERS else 6)).lower()
    name = f"{re.sub(r'[^a-z0-9]', '_', one.helper.lower())}_servers"
    family, table, chain = (
        (place.family, place.table, place.chain) if place and place.source == "nft" else ("inet", "filter", one.hook)
    )
    own = one.hook == "output"
    inside = "" if own else f"iifname {names(view.sides.inside)} "
    six = one.nfproto == 6 or (place is not None and place.family == "ip6")
    daddr = f"{'ip6' if six else 'ip'} daddr @{name}"
    new, *more = [
        f'{inside}{daddr} {word} dport {text} ct helper set "{object_of(place, one.helper)}"'
        for text in nft_ports(ports)
    ]
    nft = [] if place and place.source == "nft" else [helper_object(one, word)]
    nft += [
        f"add set {family} {table} {name} {{ type {'ipv6_addr' if six else 'ipv4_addr'}; flags interval; }}",
        f"# add element {family} {table} {name} {{ the servers that you use }}",
    ]
    if place and place.source == "nft" and place.handle is not None:
        nft += [f"add rule {family} {table} {chain} position {place.handle} {text}" for text in more]
        nft.append(f"replace rule {family} {table} {chain} handle {place.handle} {new}")
    else:
        nft += [f"add rule {family} {table} {chain} {text}" for text in (new, *more)]
    iptables = [f"ipset create -exist {name} hash:net", f"# ipset add {name} the servers that you use"]
    target = f"-p {word} {iptables_ports(ports)} -m set --match-set {name} dst -j CT --helper {one.helper}"
    for at, iif in enumerate(("",) if own else view.sides.inside):
        text = target if own else f"-i {iif} {target}"
        if at == 0 and one.rule is not None and place and place.source != "nft":
            iptables.append(
                f"{place.source.removesuffix('-save')} -t {place.table} -R {place.chain} "
                f"{number_of(one.rule, view)} {text}"
            )
        else:
            iptables.append(f"iptables -t raw -A {'OUTPUT' if own else 'PREROUTING'} {text}")
    return Fix(
        nft=lines(*nft),
        iptables=lines(*iptables),
        other="sysctl -w net.netfilter.nf_conntrack_helper=0" if one.rule is None else "",
    )


def nft_ports(ports: Sequence[Span]) -> list[str]:
    """Ports as rules of nft name them: nft 1.0.6 dies of a rule that is replaced by one with ranges among others."""
    found = port_texts(ports, "-")
    return found if len(found) == 1 or any("-" in text for text in found) else [f"{{ {', '.join(found)} }}"]


def iptables_ports(ports: Sequence[Span]) -> str:
    """Ports as a rule of iptables names them."""
    found = port_texts(ports, ":")
    return f"--dport {found[0]}" if len(found) == 1 else f"-m multiport --dports {','.join(found)}"


def networks_inside(one: Assignment, view: View) -> Fix:
    """A helper of the gateway's own broadcasts for those into the networks inside."""
    inside, port, rule = view.sides.inside, HELPERS[one.helper].port, one.rule
    if rule is None or not inside:
        return without_helper(one, view)
    place = rule.place
    if place.source != "nft":
        number, target = number_of(rule, view), f"-p udp --dport {port} -j CT --helper {one.helper}"
        head = f"{place.source} -t {place.table}"
        first, *others = [f"-o {oif} {target}" for oif in inside]
        more = (f"{head} -I {place.chain} {number} {text}" for text in others)
        return Fix(iptables=lines(f"{head} -R {place.chain} {number} {first}", *more))
    new = f'oifname {names(inside)} udp dport {port} ct helper set "{object_of(place, one.helper)}"'
    return Fix(nft=f"replace rule {place.family} {place.table} {place.chain} handle {place.handle} {new}")


def helper_object(one: Assignment, word: str) -> str:
    """What `ct helper set` needs before it."""
    return f'add ct helper inet filter {one.helper} {{ type "{one.helper}" protocol {word}; }}'


def object_of(place: Place | None, helper: str) -> str:
    """The name of the helper's object in a rule of nft."""
    found = re.search(r'ct helper set "([^"]+)"', place.text) if place else None
    return found[1] if found else helper


def without_helper(one: Assignment, view: View) -> Fix:
    """The helper is taken away."""
    if one.rule is None:
        return Fix(other="sysctl -w net.netfilter.nf_conntrack_helper=0")
    place = one.rule.place
    if place.source == "nft":
        return Fix(
            nft=f"delete rule {place.family} {place.table} {place.chain} handle {place.handle}",
            iptables=f"# the rule with: -j CT --helper {one.helper}",
        )
    return Fix(
        nft=f'# the rule with: ct helper set "{one.helper}"',
        iptables=f"{place.source} -t {place.table} -D {place.chain} {number_of(one.rule, view)}",
    )


def drop_invalid(view: View, step: Step) -> Fix:
    """INVALID is dropped first."""
    family, table, chain = place_of(step, "forward", view)
    return Fix(
        nft=f"insert rule {family} {table} {chain} ct state invalid drop",
        iptables="iptables -I FORWARD 1 -m conntrack --ctstate INVALID -j DROP",
    )
