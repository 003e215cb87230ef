"""Carries out a plan: finds the command's function, and turns the kernel's refusals into the original's words."""

from __future__ import annotations

from .kernel import refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .output import Output
    from .plan import Plan

__all__ = ["carry_out"]


def carry_out(plan: Plan, output: Output, *, from_file: bool = False) -> int:
    """Run a plan; `from_file` leaves out the summary lines, and finding nothing then is no failure.

    Returns:
        The exit status.

    Raises:
        Stop: the kernel refused, or the output did not take the data.
    """
    try:
        status = _function(plan)(plan, output, from_file)
    except OSError as error:
        raise refused(plan, error) from error
    return 0 if from_file else status


def _function(plan: Plan) -> Callable[[Plan, Output, bool], int]:
    command = plan.command
    if plan.table == "expect":
        return _expectation_function(command)
    if command in "LG":
        from . import showing

        return showing.listing if command == "L" else showing.single
    if command in "DU":
        from . import changing

        return changing.delete if command == "D" else changing.update
    if command in "IAF":
        from . import creating

        return creating.flush if command == "F" else creating.create
    if command == "E":
        from . import events

        return events.follow
    from . import counting

    return counting.count if command == "C" else counting.statistics


def _expectation_function(command: str) -> Callable[[Plan, Output, bool], int]:
    if command == "E":
        from . import events

        return events.follow
    if command == "S":
        from . import counting

        return counting.statistics
    from . import expectations

    functions = {
        "L": expectations.listing,
        "C": expectations.count,
        "G": expectations.single,
        "I": expectations.create,
        "D": expectations.delete,
        "F": expectations.flush,
    }
    return functions[command]
