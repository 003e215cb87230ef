"""An expectation of the live table, explained: its helper and the rule, its master, NAT, who may use it, until when."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from conntap.explain import live_words as words
from conntap.explain.live_master import assigned_line, state_line
from conntap.explain.live_rules import Ends, entrance
from conntap.explain.live_table import Told
from conntap.explain.live_times import seconds

if TYPE_CHECKING:
    from conntap import _core
    from conntap.explain.live_rules import Entrance
    from conntap.explain.live_table import Live

__all__ = ["tell_expectation", "translated"]

#: Flags. Source: linux/netfilter/nf_conntrack_common.h.
PERMANENT, INACTIVE, USERSPACE = 1, 2, 4
FOLLOWS_MASTER: Final = "nat-follow-master"


def tell_expectation(expectation: _core.Expectation, live: Live, *, utc: bool = False) -> Told:
    """All that can be told of it."""
    master = live.flow(expectation.master)
    lines: list[tuple[str, str]] = []
    data: dict[str, Any] = {"expectation": json.loads(expectation.json())}

    lines.append(("master", words.arrow(expectation.master) + _state(master, live)))
    data["master"] = None if master is None else json.loads(master.json())

    text, assigned = assigned_line(expectation.helper or "", expectation.master, live)
    lines.append(("helper", text))
    data["assigned_by"] = assigned

    inside, shown = translated(expectation, master)
    lines.append(("NAT", _nat(expectation, master, inside, shown)))
    data["led_to"] = words.end(inside.dst, inside.dport) if natted(expectation) else None
    data["shown_as"] = shown

    said, source = words.who(expectation)
    port = "any port" if expectation.mask.dport == 0 else f"port {expectation.tuple.dport}"
    protocol = words.NAMES.get(expectation.tuple.l4proto or 0, "?")
    lines.append(("who", f"{said}, to {protocol} {expectation.tuple.dst} {port}"))
    data["anyone"] = expectation.any_source

    rule, found = _rule(expectation, live, inside, source)
    lines.append(("rule", rule))
    data["entrance"] = found

    until, ends_ns = _until(expectation, live, utc=utc)
    lines.append(("until", until))
    data["until_ns"] = ends_ns
    return Told(expectation.explain(), tuple(lines), data)


def _state(master: _core.Flow | None, live: Live) -> str:
    return ", gone from the table meanwhile" if master is None else f", {state_line(master, live)}"


def natted(expectation: _core.Expectation) -> bool:
    """NAT has something to do with what comes."""
    return expectation.nat_tuple is not None or expectation.function is not None


def translated(expectation: _core.Expectation, master: _core.Flow | None) -> tuple[Ends, str | None]:
    """The expected connection behind the translation of its destination; and the source that its receiver sees.

    Source: net/netfilter/nf_nat_helper.c, nf_nat_follow_master: the destination is the source of the master on the
    other side, at the port that was saved; the source is the destination of the master on that side.
    """
    tuple_ = expectation.tuple
    any_port = expectation.mask.dport == 0
    _, source = words.who(expectation)
    as_is = Ends(source, str(tuple_.dst), tuple_.l4proto or 0, None, None if any_port else tuple_.dport)
    saved = expectation.nat_tuple
    if saved is None:
        return as_is, None
    port = saved.sport or as_is.dport
    if saved.src is not None and int(saved.src) != 0:
        return Ends(source, str(saved.src), as_is.l4proto, None, port), None
    if expectation.function != FOLLOWS_MASTER:
        return as_is, None
    # The original tuple comes with the expectation; the other side is in the table alone.
    replied = json.loads(expectation.json()).get("nat_dir") == 0
    side = (None if master is None else master.reply) if replied else expectation.master
    if side is None:
        return as_is, None
    return Ends(source, str(side.src), as_is.l4proto, None, port), str(side.dst)


def _nat(expectation: _core.Expectation, master: _core.Flow | None, inside: Ends, shown: str | None) -> str:
    own = words.translation(master) if master is not None else []
    of_master = f"of the master {' and '.join(own)}" if own else "the master has none"
    if master is None:
        of_master = "the master's is not known any more"
    if not natted(expectation):
        return f"{of_master}; the new connection inherits none"
    to = words.end(inside.dst, inside.dport)
    stays = to == words.end(expectation.tuple.dst, expectation.tuple.dport)
    found = [f"of the new connection the destination {'stays ' + to if stays else 'is led to ' + to}"]
    source = str(expectation.tuple.src)
    if shown is not None:
        found.append(f"the source {'stays ' + shown if shown == source else 'is shown as ' + shown}")
    if expectation.function:
        found.append(f"by {expectation.function}")
    return f"{of_master}; {', '.join(found)}"


def _rule(
    expectation: _core.Expectation, live: Live, inside: Ends, source: str | None
) -> tuple[str, dict[str, Any] | None]:
    if live.gateway is None:
        return f"the rules could not be read: {live.why_not}", None
    tuple_ = expectation.tuple
    any_port = expectation.mask.dport == 0
    expected = Ends(source, str(tuple_.dst), tuple_.l4proto or 0, None, None if any_port else tuple_.dport)
    if expectation.mask.sport and tuple_.sport is not None:
        expected = Ends(source, expected.dst, expected.l4proto, tuple_.sport, expected.dport)
    changed = (inside.dst, inside.dport) != (expected.dst, expected.dport)
    found = entrance(live.gateway, expected, inside, expectation.helper or "", natted=changed)
    return _entrance(found), {
        "verdict": found.verdict,
        "hook": found.hook,
        "iifname": found.iifname,
        "oifname": found.oifname,
        "rules": [{"place": str(place), "text": place.text} for place in found.by],
        "reasons": list(found.answer.reasons),
    }


def _entrance(found: Entrance) -> str:
    """Whether it gets in, by which rule."""
    way = f"in by {found.iifname or 'an interface that routes do not tell'}"
    way += ", to this machine" if found.hook == "input" else f", out by {found.oifname or 'another one'}"
    if not found.chains:
        return f"nothing filters at {found.hook}: it gets in ({way})"
    rules = "; ".join(f"{place}: {place.text}" if place.text else str(place) for place in found.by)
    if found.verdict == "accepted":
        return f"lets it in: {rules or 'every chain, by its policy'} ({way})"
    if found.verdict == "dropped":
        return f"drops it: {rules or 'a chain, by its policy'} ({way}); the session does not work"
    reasons = "; ".join(found.answer.reasons)
    return f"cannot tell whether it gets in ({way}): {reasons}" + (f"; perhaps by {rules}" if rules else "")


def _until(expectation: _core.Expectation, live: Live, *, utc: bool) -> tuple[str, int | None]:
    flags = expectation.flags or 0
    use = "any number of times till then" if flags & PERMANENT else "used up by the first packet that fits"
    if flags & INACTIVE:
        use += "; not active yet: its helper waits for an answer"
    if flags & USERSPACE:
        use += "; made by a helper in userspace"
    if expectation.timeout is None:
        return f"it has no time of its own: as long as its master lives; {use}", None
    ends_ns = live.now_ns + expectation.timeout * 1_000_000_000
    at = time.gmtime(ends_ns // 1_000_000_000) if utc else time.localtime(ends_ns // 1_000_000_000)
    when = time.strftime("%H:%M:%S" + ("Z" if utc else ""), at)
    return f"{seconds(expectation.timeout)} from now, {when}, or the end of its master; {use}", ends_ns
