"""From `-o` words to the core's formatter."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conntap._core import Formatter

    from .plan import Plan

__all__ = ["formatter"]


def formatter(plan: Plan, *, verb: str = "A") -> Formatter:
    """Return the formatter for what `plan` shows; `verb` begins the lines of `-o save`.

    Not every word acts with every command: -D and -U show bare XML elements and no kernel times, -D no labels, and
    clock times stand before events and expectations only.
    """
    from conntap._core import Formatter

    command = plan.command
    events = command == "E"
    programs = None
    if events and plan.table != "expect":
        from .progname import ProgramNames

        programs = ProgramNames().find
    return Formatter(
        "xml" if plan.shows("xml") else "save" if plan.shows("save") else "conntrack",
        events=events,
        root=command not in "DU",
        extended=plan.shows("extended"),
        id=plan.shows("id"),
        timestamp=plan.shows("timestamp") and (events or plan.table == "expect"),
        ktimestamp=plan.shows("ktimestamp") and command not in "DU",
        userspace=events,
        labels=plan.label_map if plan.labelled and command != "D" else None,
        verb=verb,
        programs=programs,
    )
