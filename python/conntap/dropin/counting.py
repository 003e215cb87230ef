"""-C and -S: numbers about the table."""

from __future__ import annotations

from .kernel import open_requests
from .messages import failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .output import Output
    from .plan import Plan

__all__ = ["count", "statistics"]

_COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"
_TABLE = "/proc/net/stat/nf_conntrack"


def count(plan: Plan, output: Output, quiet: bool) -> int:
    """-C: the number of entries. From /proc where the request is refused; the refusal is reported all the same."""
    del plan, quiet
    try:
        ((_, values),) = open_requests().stats("global")
    except OSError:
        output.write(f"{_read(_COUNT).strip()}\n".encode())
        raise
    output.write(f"{dict(values)['entries']}\n".encode())
    return 0


def statistics(plan: Plan, output: Output, quiet: bool) -> int:
    """-S: what the kernel has counted, one line per CPU. From /proc where the request is refused, as with -C."""
    del quiet
    try:
        lines = open_requests().stats("expect" if plan.table == "expect" else "cpu")
    except OSError:
        if plan.table != "expect":
            header, *rows = (line.split() for line in _read(_TABLE).splitlines())
            for cpu, row in enumerate(rows):
                _line(output, cpu, zip(header, (int(word, 16) for word in row), strict=False))
        raise
    for cpu, values in lines:
        _line(output, cpu, values)
    return 0


def _line(output: Output, cpu: int, values: Iterable[tuple[str, int]]) -> None:
    text = "".join(f"{name}={value} " for name, value in values)
    output.write(f"cpu={cpu:<4}\t{text}\n".encode())


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError as error:
        raise failure(f"Can't open {path}") from error
