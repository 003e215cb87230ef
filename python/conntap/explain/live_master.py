"""What is told of a connection wherever it occurs: its state and time, and which rule gave it its helper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conntap.explain.live_rules import assigned_by, interface_to, is_local
from conntap.explain.live_times import seconds, setting_of
from conntap.explain.live_words import ends_of

if TYPE_CHECKING:
    from conntap import _core
    from conntap.explain.live_table import Live

__all__ = ["assigned_line", "setting_line", "state_line"]


def state_line(flow: _core.Flow, live: Live) -> str:
    """`ESTABLISHED, assured; 4 d 23 h left (nf_conntrack_tcp_timeout_established is 5 d)`."""
    said = [flow.tcp_state or flow.state or ("answered" if flow.replied else "not answered yet")]
    if flow.assured:
        said.append("assured")
    text = ", ".join(said)
    if flow.timeout is None:
        return text
    return f"{text}; {seconds(flow.timeout)} left ({setting_line(flow, live)})"


def setting_line(flow: _core.Flow, live: Live) -> str:
    """The setting that gives its time, and its value."""
    name = setting_of(flow.l4proto or 0, flow.tcp_state or flow.state, assured=flow.assured)
    value = live.settings.get(name)
    return f"nf_conntrack_{name} is {seconds(value)}" if value is not None else f"nf_conntrack_{name}"


def assigned_line(helper: str, original: _core.Tuple, live: Live) -> tuple[str, dict[str, Any] | None]:
    """Which rule assigned it, in words and for programs."""
    if not helper:
        return "none: it was made by a program, or its helper has gone", None
    if live.gateway is None:
        return f"{helper}; the rules could not be read: {live.why_not}", None
    ends = ends_of(original)
    local = ends.src is not None and is_local(live.gateway, ends.src)
    coming = None if local else interface_to(live.gateway, ends.src, ends.nfproto)
    found = assigned_by(live.gateway.rules, helper, ends, coming, local=local)
    data: dict[str, Any] = {
        "helper": helper,
        "certain": len(found) == 1 and found[0].certain,
        "rules": [{"place": str(one.place), "text": one.place.text, "certain": one.certain} for one in found],
        "faults": list(live.gateway.rules.faults),
    }
    if not found:
        text = f"{helper}; no rule that stands now assigns it to such a connection"
        if live.settings.get("helper"):
            return f"{helper}, assigned by its port, without a rule (nf_conntrack_helper=1)", data
        return f"{text}: the rules have changed, or a program assigned it", data
    rules = "; or ".join(f"{one.place}: {one.place.text}" if one.place.text else str(one.place) for one in found)
    return f"{helper}, {'assigned' if data['certain'] else 'perhaps assigned'} by {rules}", data
