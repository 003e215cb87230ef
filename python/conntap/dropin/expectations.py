"""The table of expectations: connections that helpers have announced."""

from __future__ import annotations

from .fields import expectation
from .kernel import open_requests
from .messages import banner
from .output import warn
from .selection import selection
from .style import formatter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .output import Output
    from .plan import Plan

__all__ = ["count", "create", "delete", "flush", "listing", "single"]


def listing(plan: Plan, output: Output, quiet: bool) -> int:
    """-L expect: show them all, or one family's."""
    del quiet
    form = formatter(plan)
    shown = 0
    for batch in open_requests().dump("expectations", selection(plan), family=plan.family):
        shown += len(batch)
        output.write(form.format(batch))
    output.write(form.finish())
    if plan.shows("xml"):
        output.flush()
    warn(f"{banner()}{shown} expectations have been shown.\n")
    return 0


def count(plan: Plan, output: Output, quiet: bool) -> int:
    """-C expect: how many there are."""
    del plan, quiet
    number = sum(len(batch) for batch in open_requests().dump("expectations"))
    output.write(f"{number}\n".encode())
    return 0


def single(plan: Plan, output: Output, quiet: bool) -> int:
    """-G expect: show the one with this tuple."""
    del quiet
    output.write(formatter(plan).format(open_requests().expectation("get", expectation(plan))))
    return 0


def create(plan: Plan, output: Output, quiet: bool) -> int:
    """-I expect: announce a connection on behalf of a master that has a helper."""
    del output, quiet
    open_requests().expectation("create", expectation(plan))
    return 0


def delete(plan: Plan, output: Output, quiet: bool) -> int:
    """-D expect: delete the one with this tuple. Line and status are the original's, which counts nothing here."""
    del output, quiet
    open_requests().expectation("delete", expectation(plan))
    warn(f"{banner()}0 expectations have been shown.\n")
    return 1


def flush(plan: Plan, output: Output, quiet: bool) -> int:
    """-F expect: delete them all."""
    del plan, output, quiet
    requests = open_requests()
    requests.flush_expectations()
    warn(f"{banner()}expectation table has been emptied.\n")
    return 0
