"""A connection of the live table, explained: NAT, helper and the rule, master, children, what it expects, its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from conntap.explain import live_words as words
from conntap.explain.live_master import assigned_line, setting_line, state_line
from conntap.explain.live_table import Told
from conntap.explain.live_times import setting_of, what_ends
from conntap.model import Status

if TYPE_CHECKING:
    from conntap import _core
    from conntap.explain.live_table import Live

__all__ = ["tell_flow"]

#: Children and expectations told in text; in JSON all of them.
MOST: Final = 10


def tell_flow(flow: _core.Flow, live: Live) -> Told:
    """All that can be told of it."""
    status = flow.status or Status(0)
    lines: list[tuple[str, str]] = [("state", state_line(flow, live))]
    nat = words.translation(flow)
    lines.append(("NAT", "; ".join(nat) or "none"))
    if flow.mark or flow.zone:
        lines.append(("mark", f"mark {flow.mark or 0}, zone {flow.zone}"))
    data: dict[str, Any] = {"flow": json.loads(flow.json()), "nat": nat}

    if flow.helper:
        text, data["assigned_by"] = assigned_line(flow.helper, flow.original, live)
        lines.append(("helper", text))
    else:
        lines.append(("helper", "none reads it"))
        data["assigned_by"] = None

    if flow.master is not None:
        master = live.flow(flow.master)
        gone = ", which has ended" if master is None else f", {state_line(master, live)}"
        inherited = " and has inherited its NAT" if nat and master is not None and words.translation(master) else ""
        lines.append(("master", f"it was expected by {words.arrow(flow.master)}{gone}{inherited}"))
    children = live.children(flow)
    lines += [("child", f"{words.arrow(child.original)}, {state_line(child, live)}") for child in children[:MOST]]
    if len(children) > MOST:
        lines.append(("child", f"… and {len(children) - MOST:,} more"))
    data["children"] = [json.loads(child.json()) for child in children]
    waiting = live.expected_by(flow)
    lines += [("expects", expectation.explain()) for expectation in waiting[:MOST]]
    if len(waiting) > MOST:
        lines.append(("expects", f"… and {len(waiting) - MOST:,} more"))
    data["expectations"] = [json.loads(expectation.json()) for expectation in waiting]

    ends = what_ends(
        flow.l4proto or 0, flow.tcp_state or flow.state, assured=flow.assured,
        fixed=bool(status & Status.FIXED_TIMEOUT), source_nat=bool(status & Status.SRC_NAT),
    )  # fmt: skip
    lines.append(("ends by", "; ".join(ends)))
    data["timeout"] = flow.timeout
    data["setting"] = (
        f"nf_conntrack_{setting_of(flow.l4proto or 0, flow.tcp_state or flow.state, assured=flow.assured)}"
    )
    data["setting_says"] = setting_line(flow, live)
    data["ends_by"] = ends
    return Told(words.arrow(flow.original), tuple(lines), data)
