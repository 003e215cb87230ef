"""The checks behind parsing: do these options go with this command, and is nothing missing?"""

from __future__ import annotations

from .messages import usage_fault
from .options import COLUMNS, OPTIONS, column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .options import Option
    from .plan import Plan

__all__ = ["check"]

# What -z cannot be combined with: it would zero entries that the listing does not show.
_FILTERS = {
    "protonum", "src", "dst", "reply-src", "reply-dst", "mark", "secmark", "status", "zone", "label", "orig-zone",
    "reply-zone", "src-nat", "dst-nat", "any-nat",
}  # fmt: skip


def check(plan: Plan, warn: Callable[[str], None]) -> None:
    """Check a whole plan and resolve its labels.

    Raises:
        Stop: with the first thing that is wrong.
    """
    if plan.labelled:
        from .labelmap import resolve

        resolve(plan, warn)
    if plan.any_nat and (plan.src_nat or plan.dst_nat):
        raise usage_fault("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'")
    where = column(plan.command, plan.table)
    _check(plan, where, OPTIONS, ("src", "dst"), ("reply-src", "reply-dst"))
    protocol = plan.protocol
    if protocol and plan.command != "h":
        # The pairs are the first two rows and the next two.
        _check(plan, where, protocol.options, protocol.pair, protocol.reply_pair)
    _check_filters(plan)


def _check(
    plan: Plan,
    where: str,
    options: Sequence[Option],
    words: tuple[str, str],
    reply_words: tuple[str, str],
) -> None:
    given = plan.given
    at = COLUMNS.index(where) if where in COLUMNS else -1  # commands without a column take no options
    either: list[bool] = []
    for option in options:
        need = option.commands[at] if at >= 0 else "."
        if need == "." and option.name in given:
            raise usage_fault(f"Illegal option `--{option.name}' with this command")
        if need == "1" and option.name not in given:
            raise usage_fault(f"You need to supply the `--{option.name}' option for this command")
        if need == "3":
            either.append(option.name in given)
    if not either or all(either[:2]) or all(either[2:]):
        return
    first, second = reply_words if any(either[2:]) and not any(either[:2]) else words
    raise usage_fault(f"you have to specify `--{first}' and `--{second}'")


def _check_filters(plan: Plan) -> None:
    """Refuse filters that the selection could not keep."""
    if plan.table == "expect":
        return
    if plan.table == "conntrack" and "zero" in plan.given and plan.given & _FILTERS:
        raise usage_fault("Can't use -z with filtering parameters")
    for end in ("src", "dst"):
        if f"mask-{end}" in plan.given and end not in plan.given:
            raise usage_fault(f"Can't use --mask-{end} without --{end}")
