"""Names of connection labels: the map file, and the labels that the options name."""

from __future__ import annotations

from .messages import usage_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .plan import Plan

__all__ = ["DEFAULT_MAP", "resolve"]

DEFAULT_MAP = "/etc/xtables/connlabel.conf"


def resolve(plan: Plan, warn: Callable[[str], None]) -> None:
    """Read the map into the plan and check that it has every label that the options name.

    A map that cannot be read is warned about; listing goes on with numbers that have no names.

    Raises:
        Stop: an option names a label that the map does not have.
    """
    plan.label_map = _read(plan.labelmap or DEFAULT_MAP, warn)
    if plan.label or plan.label_add or plan.label_del:
        from conntap._core import LabelMap

        names = LabelMap(plan.label_map)
        for name in (*plan.label, *plan.label_add, *(plan.label_del or ())):
            number = names.number(name)
            if number is None:
                raise usage_fault(f"unknown label '{name}'")
            plan.label_numbers[name] = number


def _read(path: str, warn: Callable[[str], None]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        warn(f"nfct_labelmap_new: {error.strerror}\n")
        return b""
