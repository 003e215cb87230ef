"""Helpers: to whom they are assigned, and what they may be made to do (A004 to A009, A022 to A024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.audit.assigned import AUTOMATIC, automatic
from conntap.audit.finder import evidence, evidence_of, key_of, reaches
from conntap.audit.finding import Evidence, Finding, Fix, Severity
from conntap.audit.fixes import known_servers, networks_inside, without_helper
from conntap.audit.known import BROWSERS_REFUSE, HELPERS, Loosening, module_of
from conntap.audit.view import accepting
from conntap.audit.words import listed, ports_text, protocol, sentence, worst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.audit.assigned import Assignment
    from conntap.audit.known import Helper
    from conntap.audit.view import View

__all__ = [
    "any_destination",
    "browser_ports",
    "by_port",
    "from_outside",
    "loosened",
    "never_assigned",
    "six_without_nat",
    "unknown_helper",
    "wildcard",
]


def evidence_for(one: Assignment) -> tuple[Evidence, ...]:
    """The rule that assigns, or the setting."""
    if one.rule is None:
        return (Evidence("the kernel gives it to every connection to its port", setting=AUTOMATIC, value="1"),)
    return (evidence_of(one.rule),)


def key_for(one: Assignment) -> str:
    return key_of(one.rule, one.helper) if one.rule else f"automatic/{one.helper}"


def outward(one: Assignment, view: View) -> bool:
    """Connections from inside to outside may get it, or the gateway's own."""
    known = HELPERS.get(one.helper)
    if known is not None and known.asks:
        return one.hook == "output" and any(one.leaves(name) for name in view.sides.outside)
    if one.hook == "output":
        return one.called
    return any(view.begins(one, inside, outside, nfproto) for outside, inside in view.pairs for nfproto in (4, 6))


def any_destination(view: View) -> Iterator[Finding]:
    """A004: the helper reads what is said to any server."""
    for one in merged(view):
        known = HELPERS.get(one.helper)
        if one.servers or known is None or not outward(one, view):
            continue
        through = [o for o in view.openings if same_rule(o.assignment, one)]
        best = worst(through)
        whom = "broadcasts into any network" if known.asks else "connections to any server"
        yield Finding(
            "A004",
            f"{one.helper} is assigned to {whom}",
            Severity.MEDIUM if through else Severity.LOW,
            evidence_for(one),
            sentence(best, view) if best else without_way(one, known),
            networks_inside(one, view) if known.asks else known_servers(one, view),
            reach=reaches(through),
            certain=not one.doubt,
            doubt=one.doubt and f"not understood: {one.doubt}",
            key=key_for(one),
        )


def without_way(one: Assignment, known: Helper) -> str:
    """The consequence where no rule lets in what is expected."""
    expected = known.expected[0]
    if known.asks:
        return (
            f"when a program on the gateway asks a network outside by broadcast, any host of that network may send to "
            f"the program's port from UDP port {known.port}, for {expected.seconds} s"
        )
    return (
        f"whoever runs a server at {port_words(one)} can make the kernel expect a connection that the "
        f"server names ({expected.what})"
    )


def merged(view: View) -> Iterator[Assignment]:
    """The assignments, one of each rule and helper."""
    seen: set[tuple[int, str]] = set()
    for one in view.assigned:
        mark = (id(one.rule), one.helper)
        if mark not in seen:
            seen.add(mark)
            yield one


def same_rule(one: Assignment, other: Assignment) -> bool:
    return one.rule is other.rule and one.helper == other.helper


def port_words(one: Assignment) -> str:
    """Its ports in words."""
    return (
        f"{protocol(one.l4proto) if one.l4proto else 'its'} port {ports_text(one.ports)}" if one.ports else "any port"
    )


def wildcard(view: View) -> Iterator[Finding]:
    """A005: a helper that is assigned expects connections from anybody."""
    for name in view.helpers:
        known = HELPERS.get(name)
        wild = known.wild(view.gateway) if known else ()
        if not wild:
            continue
        mine = [one for one in merged(view) if one.helper == name]
        through = [one for one in view.openings if one.helper.name == name and one.wild]
        best = worst(through)
        opened = any(one.ports for one in through)
        settings = tuple(
            Evidence(
                e.wild_by.what,
                setting=f"{e.wild_by.module}.{e.wild_by.name}",
                value=view.gateway.parameter(e.wild_by.module, e.wild_by.name) or "",
            )
            for e in wild
            if e.wild_by is not None
        )
        rules = tuple(dict.fromkeys(evidence(step) for one in through for step in accepting(one.answer)))
        doubts = "; ".join(dict.fromkeys(why for one in through for why in one.answer.reasons))
        yield Finding(
            "A005",
            f"{name} lets anybody use what it expects",
            Severity.HIGH if through else Severity.INFO,
            (*(e for one in mine for e in evidence_for(one)), *settings, *rules),
            sentence(best, view)
            if best
            else f"{name} expects a {wild[0].what} from any address ({wild[0].function}); no rule lets it in from "
            "outside",
            wild_fix(name, mine, view),
            reach=reaches(through),
            certain=opened or not through,
            doubt="" if opened else doubts,
            key=name,
        )


def wild_fix(name: str, mine: list[Assignment], view: View) -> Fix:
    """The parameter, or no helper."""
    names = [e.wild_by for e in HELPERS[name].wild(view.gateway) if e.wild_by is not None]
    if names and len(names) == len(HELPERS[name].wild(view.gateway)):
        return Fix(other="\n".join(parameter_fix(one) for one in names))
    return without_helper(mine[0], view)


def parameter_fix(one: Loosening) -> str:
    """How a module parameter is set for good."""
    file = f"/etc/modprobe.d/{one.module}-{one.name}.conf"
    option = f"options {one.module} {one.name}={one.default}"
    return f"echo '{option}' > {file}\nmodprobe -r {one.module}; modprobe {one.module}"


def browser_ports(view: View) -> Iterator[Finding]:
    """A006: a web page can make a browser speak to the port."""
    for one in merged(view):
        known = HELPERS.get(one.helper)
        if known is None or not known.text or not outward(one, view) or one.servers:
            continue
        if one.l4proto not in (0, 6) or 6 not in known.l4protos:
            continue
        free = open_to_browsers(one)
        through = [o for o in view.openings if same_rule(o.assignment, one)]
        best = worst(through)
        yield Finding(
            "A006",
            f"{one.helper} is assigned at a port to which a browser can be made to speak",
            (Severity.HIGH if through else Severity.LOW) if free else Severity.INFO,
            evidence_for(one),
            (
                f"a web page that a user inside opens can make the browser send {one.helper} text to port "
                f"{free}: {sentence(best, view)}"
                if best
                else f"a web page that a user inside opens can make the browser send {one.helper} text to port "
                f"{free}; no rule lets in what it makes the kernel expect"
            )
            if free
            else f"browsers of today refuse port {ports_text(one.ports)}; those of before 2021 do not, nor do "
            "other programs that open an address of a page",
            known_servers(one, view),
            reach=reaches(through) if free else (),
            key=key_for(one),
        )


def open_to_browsers(one: Assignment) -> str:
    """A port of the assignment that browsers do not refuse; "" where there is none."""
    if not one.ports:
        return "80 or any other"
    for span in one.ports:
        for port in range(max(span.first, 1), min(span.last, span.first + 200) + 1):
            if port not in BROWSERS_REFUSE:
                return str(port)
    return ""


def never_assigned(view: View) -> Iterator[Finding]:
    """A007: a helper's module is loaded for nothing."""
    if automatic(view.gateway) or view.gateway.rules.faults:
        return
    used = {module_of(name) for name in view.helpers}
    for module in sorted({module_of(name) for name in HELPERS} & view.gateway.modules - used):
        yield Finding(
            "A007",
            f"{module} is loaded, and no rule assigns its helper",
            Severity.INFO,
            (Evidence("loaded", setting="/proc/modules", value=module),),
            "nothing is open by it; code that reads packets of strangers is in the kernel for nothing",
            Fix(other=f"modprobe -r {module}\necho 'blacklist {module}' > /etc/modprobe.d/{module}.conf"),
            key=module,
        )


def by_port(view: View) -> Iterator[Finding]:
    """A008: the kernel assigns helpers by port."""
    if not automatic(view.gateway):
        return
    names = [one.helper for one in view.assigned if one.rule is None]
    best = worst(one for one in view.openings if one.assignment.rule is None)
    yield Finding(
        "A008",
        "the kernel gives helpers to all connections by their port",
        Severity.HIGH if best else Severity.MEDIUM,
        (Evidence("automatic assignment", setting=AUTOMATIC, value="1"),),
        sentence(best, view)
        if best
        else f"{listed(names) or 'any helper that is loaded'} reads every connection to its port, in every "
        "direction, and no rule says so",
        Fix(
            nft="# and a rule with `ct helper set` for each helper that you need\n"
            'add ct helper inet filter ftp { type "ftp" protocol tcp; }',
            iptables="iptables -t raw -A PREROUTING -p tcp --dport 21 -d SERVER -j CT --helper ftp",
            other=f"sysctl -w {AUTOMATIC}=0",
        ),
        reach=reaches(o for o in view.openings if o.assignment.rule is None),
        key="automatic",
    )


def six_without_nat(view: View) -> Iterator[Finding]:
    """A009: hosts of IPv6 are addressed from outside, and a helper opens them."""
    if view.gateway.sysctl("net.ipv6.conf.all.forwarding") == "0":
        return
    through = [one for one in view.openings if one.nfproto == 6]
    if not through or 6 in view.hiding:
        return
    known = view.gateway.sysctl("net.ipv6.conf.all.forwarding") == "1"
    best = worst(through)
    names = listed(one.helper.name for one in through)
    yield Finding(
        "A009",
        "IPv6 is routed without NAT, and helpers open it",
        Severity.MEDIUM if any(one.wild for one in through) else Severity.LOW if known else Severity.INFO,
        tuple(dict.fromkeys(e for one in through for e in evidence_for(one.assignment))),
        f"hosts inside have addresses of their own, so a helper ({names}) opens them directly: "
        f"{sentence(best, view) if best else ''}",
        Fix(
            other="assign the helper for IPv4 alone where only that needs it: an object with `l3proto ip`, "
            "or no rule of ip6tables"
        ),
        reach=reaches(through),
        certain=any(one.ports for one in through),
        key=names,
    )


def loosened(view: View) -> Iterator[Finding]:
    """A022: a module parameter makes a helper less careful."""
    for known in HELPERS.values():
        for one in known.loosened:
            if not one.holds(view.gateway):
                continue
            value = view.gateway.parameter(one.module, one.name) or ""
            assigned = known.name in view.helpers
            yield Finding(
                "A022",
                f"{one.name}={value} loosens {known.name}",
                (Severity.MEDIUM if one.wild or one.name == "loose" else Severity.LOW) if assigned else Severity.INFO,
                (Evidence("module parameter", setting=f"{one.module}.{one.name}", value=value),),
                f"{one.what}" + ("" if assigned else f"; {known.name} is not assigned now"),
                Fix(other=parameter_fix(one)),
                key=f"{one.module}.{one.name}",
            )


def from_outside(view: View) -> Iterator[Finding]:
    """A023: strangers begin connections that a helper reads."""
    for one in merged(view):
        known = HELPERS.get(one.helper)
        if known is None or one.hook == "output":
            continue
        for outside, inside in view.pairs:
            nfproto = next((nf for nf in known.nfprotos if view.begins(one, outside, inside, nf)), 0)
            if nfproto:
                wild = bool(known.wild(view.gateway))
                yield Finding(
                    "A023",
                    f"{one.helper} is assigned to connections that strangers begin",
                    Severity.MEDIUM if wild or not one.servers else Severity.LOW,
                    evidence_for(one),
                    f"any host in the internet may begin a connection from {outside} to {inside} at "
                    f"{port_words(one)} that {one.helper} reads, "
                    "and say what opens further ports",
                    known_servers(one, view),
                    key=key_for(one),
                )
                break


def unknown_helper(view: View) -> Iterator[Finding]:
    """A024: a helper that conntap does not know."""
    for one in merged(view):
        if one.helper in HELPERS:
            continue
        yield Finding(
            "A024",
            f"'{one.helper}' is a helper that is not known here",
            Severity.MEDIUM,
            evidence_for(one),
            f"what '{one.helper}' expects, and who may use it, cannot be told; it may be of a module outside "
            "the kernel, or of a program in userspace",
            without_helper(one, view),
            certain=False,
            doubt="the helper is unknown",
            key=key_for(one),
        )
