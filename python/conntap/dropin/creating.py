"""-I, -A and -F: new entries, and none at all."""

from __future__ import annotations

from .fields import creation
from .kernel import open_requests
from .messages import banner
from .output import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .output import Output
    from .plan import Plan

__all__ = ["create", "flush"]


def create(plan: Plan, output: Output, quiet: bool) -> int:
    """-I: make an entry that must not exist yet; -A: make it, or change the one that is there."""
    del output
    operation, done = ("create", "created") if plan.command == "I" else ("add", "added")
    open_requests().flow(operation, creation(plan))
    if not quiet:
        warn(f"{banner()}1 flow entries have been {done}.\n")
    return 0


def flush(plan: Plan, output: Output, quiet: bool) -> int:
    """-F: empty the table, or one family's part of it. The line comes before the deed, as in the original."""
    del output, quiet
    requests = open_requests()
    warn(f"{banner()}connection tracking table has been emptied.\n")
    requests.flush(plan.family)
    return 0
