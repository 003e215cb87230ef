"""-D and -U: what happens to every entry that matches."""

from __future__ import annotations

from .fields import label_words, protocol_state
from .kernel import open_requests, refused
from .messages import banner
from .output import warn
from .protocols import DCCP_STATES, SCTP_STATES, TCP_STATES
from .selection import selection
from .style import formatter
from .words import CONFIRMED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conntap._core import Batch, Flow, Formatter, Requests

    from .output import Output
    from .plan import Plan

__all__ = ["delete", "update"]

_ENOENT, _ENOSPC = 2, 28


def delete(plan: Plan, output: Output, quiet: bool) -> int:
    """-D: delete every match and show it as it was. One that has gone meanwhile is neither shown nor counted."""
    from conntap._core import Batch

    requests = open_requests()
    form = formatter(plan, verb="D")
    deleted = 0
    for batch in requests.dump("flows", selection(plan), family=plan.family):
        flows = list(batch.flows())
        answers = requests.delete_flows(flows)
        done = [flow for flow, answer in zip(flows, answers, strict=True) if answer == 0]
        shown = batch if len(done) == len(flows) else Batch.of([(flow.message(), flow.received_ns) for flow in done])
        output.write(form.format(shown))
        deleted += len(done)
        for answer in answers:
            if answer not in (0, _ENOENT):
                raise refused(plan, OSError(answer, ""))
    if not quiet:
        warn(f"{banner()}{deleted} flow entries have been deleted.\n")
    return 0 if deleted else 1


def update(plan: Plan, output: Output, quiet: bool) -> int:
    """-U: change every match and show it as it is then. One that is as asked for already is left alone."""
    requests = open_requests()
    form = formatter(plan)
    updated = 0
    for batch in requests.dump("flows", selection(plan), family=plan.family):
        for flow in batch.flows():
            change = _change(plan, flow)
            if change:
                updated += _update_one(plan, requests, flow, change, form, output)
    if not quiet:
        warn(f"{banner()}{updated} flow entries have been updated.\n")
    return 0 if updated else 1


def _update_one(
    plan: Plan, requests: Requests, flow: Flow, change: dict[str, object], form: Formatter, output: Output
) -> int:
    """Change one entry and show it; return how many that were: 0 if it has gone, or has no room for labels."""
    answer = requests.update_flows([flow], change)[0]
    if answer == _ENOENT or (answer == _ENOSPC and "labels" in change):
        return 0
    if answer:
        raise refused(plan, OSError(answer, ""))
    try:
        output.write(form.format(_read_again(requests, flow)))
    except OSError as error:
        if error.errno != _ENOENT:
            raise
    return 1


def _read_again(requests: Requests, flow: Flow) -> Batch:
    tuple_ = flow.original
    fields = {f"orig_{name}": getattr(tuple_, name) for name in ("src", "dst", "l4proto", "sport", "dport", "zone")}
    fields |= {f"orig_icmp_{name}": getattr(tuple_, f"icmp_{name}") for name in ("type", "code", "id")}
    return requests.flow("get", fields | {"zone": flow.zone or None})


def _change(plan: Plan, flow: Flow) -> dict[str, object]:
    """Return the fields that make the entry what is asked for; empty when it is that already."""
    change: dict[str, object] = {}
    if plan.timeout is not None and plan.timeout != flow.timeout:
        change["timeout"] = plan.timeout
    if plan.mark is not None:
        value, mask = plan.mark
        old = flow.mark or 0
        if (old & ~mask & 0xFFFFFFFF) ^ value != old:
            change |= {"mark": value, "mark_mask": mask}
    if plan.status is not None:
        old = int(flow.status or 0)
        if plan.status[0] & ~old:
            change["status"] = old | plan.status[0] | CONFIRMED
    return change | _state_change(plan, flow) | _label_change(plan, flow)


def _state_change(plan: Plan, flow: Flow) -> dict[str, object]:
    if plan.state is None and plan.orig_vtag is None and plan.reply_vtag is None:
        return {}
    change = protocol_state(plan)
    if plan.protocol and plan.protocol.name == "sctp":
        # The kernel takes the three of SCTP together only.
        whole = _sctp(flow) | change
        return whole if whole != _sctp(flow) else {}
    states = DCCP_STATES if plan.protocol and plan.protocol.name == "dccp" else TCP_STATES
    return {} if flow.state == states[plan.state or 0] else change


def _sctp(flow: Flow) -> dict[str, object]:
    """Return state and verification tags of an entry."""
    orig, reply = flow.vtags or (0, 0)
    state = SCTP_STATES.index(flow.state) if flow.state in SCTP_STATES else 0
    return {"sctp_state": state, "sctp_vtag_orig": orig or 0, "sctp_vtag_reply": reply or 0}


def _label_change(plan: Plan, flow: Flow) -> dict[str, object]:
    old = flow.labels
    if plan.label_add:
        added = [plan.label_numbers[name] for name in plan.label_add]
        if not old.issuperset(added):
            return {"labels": label_words(added), "labels_mask": label_words(added)}
    elif plan.label_del is not None:
        removed = [plan.label_numbers[name] for name in plan.label_del] or sorted(old)
        if not old.isdisjoint(removed):
            return {"labels": label_words([]), "labels_mask": label_words(removed)}
    return {}
