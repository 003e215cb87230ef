"""Names of connection labels: the map file, and the labels that the options name."""

from __future__ import annotations

from .messages import usage_fault
from .numbers import strtoul

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .plan import Plan

__all__ = ["DEFAULT_MAP", "resolve"]

DEFAULT_MAP = "/etc/xtables/connlabel.conf"

_LAST = 127  # XT_CONNLABEL_MAXBIT: the kernel keeps 128 labels, the file may name more


def resolve(plan: Plan, warn: Callable[[str], None]) -> None:
    """Read the map into the plan and check that it has every label that the options name.

    A map that cannot be read is warned about; listing goes on with numbers that have no names.

    Raises:
        Stop: an option names a label that the map does not have.
    """
    plan.label_map = _read(plan.labelmap or DEFAULT_MAP, warn)
    wanted = (*plan.label, *plan.label_add, *(plan.label_del or ()))
    numbers = _numbers(plan.label_map) if wanted else {}
    for name in wanted:
        if name not in numbers:
            raise usage_fault(f"unknown label '{name}'")
        plan.label_numbers[name] = numbers[name]


def _numbers(text: bytes) -> dict[str, int]:
    """Return the labels that the kernel can hold by name; the first line of a name counts, as does that of a number."""
    numbers: dict[str, int] = {}
    for line in text.decode("utf-8", "surrogateescape").splitlines():
        words = line.partition("#")[0].split()
        if len(words) < 2:
            continue
        number, rest = strtoul(words[0], 0)
        if not rest and number <= _LAST and words[1] not in numbers and number not in numbers.values():
            numbers[words[1]] = number
    return numbers


def _read(path: str, warn: Callable[[str], None]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        warn(f"nfct_labelmap_new: {error.strerror}\n")
        return b""
