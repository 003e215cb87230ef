"""-L and -G: entries of the table as they are now."""

from __future__ import annotations

from .fields import lookup
from .kernel import open_requests
from .messages import banner, failure
from .output import warn
from .selection import selection
from .style import formatter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .output import Output
    from .plan import Plan

__all__ = ["listing", "single"]

_TABLES = {"conntrack": "flows", "dying": "dying", "unconfirmed": "unconfirmed"}


def listing(plan: Plan, output: Output, quiet: bool) -> int:
    """-L: show every entry that is asked for. Nothing to show is no failure."""
    if plan.status == (0, 0):
        # Asking the kernel for no status bit at all is an error of the request.
        raise failure("Operation failed: invalid parameters")
    table = "flows-zero" if "zero" in plan.given else _TABLES[plan.table]
    form = formatter(plan)
    shown = 0
    dump = open_requests().dump(table, selection(plan), family=plan.family)
    for batch in dump:
        shown += len(batch)
        output.write(form.format(batch))
    output.write(form.finish())
    if plan.shows("xml"):
        output.flush()
    if dump.interrupted:
        warn("WARNING: the table was resized while it was read: entries may be missing or shown twice.\n")
    if not quiet:
        warn(f"{banner()}{shown} flow entries have been shown.\n")
    return 0


def single(plan: Plan, output: Output, quiet: bool) -> int:
    """-G: show the entry with these addresses and ports, if it has the id and labels asked for as well."""
    if plan.orig.src is None:
        # The original sends the original tuple alone, and one without addresses is refused.
        raise failure("Operation failed: invalid parameters")
    batch = open_requests().flow("get", lookup(plan))
    wanted = selection(plan)
    found = [flow for flow in batch.flows() if wanted is None or wanted.matches(flow)]
    if found:
        output.write(formatter(plan).format(batch))
    if not quiet:
        warn(f"{banner()}{len(found)} flow entries have been shown.\n")
    return 0 if found else 1
