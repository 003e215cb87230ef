"""Which connections there are, where it is not said which one is meant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from conntap.explain.select import ends_of
from conntap.explain.story import Connection
from conntap.explain.style import pad, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conntap.explain.select import Family, Selection
    from conntap.explain.style import Style

__all__ = ["Choice", "choices", "json_choices", "list_choices"]


class Choice(NamedTuple):
    """A connection to choose.

    Attributes:
        id: of its flow; a filter may ask for it.
        began_ns: time of its first event that matched.
        connection: from whom to whom.
        children: how many it announced.
    """

    id: int
    began_ns: int
    connection: Connection
    children: int

    def __str__(self) -> str:
        more = f" with {self.children} child{'' if self.children == 1 else 'ren'}" if self.children else ""
        helper = f"  {self.connection.helper}" if self.connection.helper else ""
        return f"{self.connection}{helper}{more}"


def choices(families: Sequence[Family]) -> list[Choice]:
    """Describe families."""
    return [_choice(family) for family in families]


def _choice(family: Family) -> Choice:
    flow = family.flows[family.root]
    connection = Connection(
        letter="A",
        flow_id=family.root,
        protocol=flow.protocol or f"protocol {flow.l4proto}",
        original=ends_of(flow.original),
        reply=ends_of(flow.reply),
        helper=flow.helper,
    )
    return Choice(family.root, flow.received_ns, connection, len(family.flows) - 1)


def list_choices(selection: Selection, style: Style, *, command: str) -> Iterator[str]:
    """Write the list, line by line; *command* is what was typed."""
    shown = choices(selection.families)
    begins_ns = min(choice.began_ns for choice in shown)
    several = f"{selection.found:,} connections: which one? {command} 'id N', or another filter"
    yield from (style.paint(style.say(line), "head") for line in wrap(several, style.width))
    width = max(len(str(choice.id)) for choice in shown)
    yield style.paint(f"  {'id'.rjust(max(width, 2))}  {pad('time', 9)}  connection", "dim")
    for choice in shown:
        since = f"{(choice.began_ns - begins_ns) / 1e9:.3f}"
        yield f"  {str(choice.id).rjust(max(width, 2))}  {since.rjust(9)}  {style.say(str(choice))}"
    if selection.found > len(shown):
        yield f"  {selection.found - len(shown):,} more: --limit N"


def json_choices(selection: Selection) -> Iterator[str]:
    """Write the list as objects."""
    for choice in choices(selection.families):
        connection = choice.connection
        fields = {
            "kind": "choice",
            "id": choice.id,
            "time_ns": choice.began_ns,
            "protocol": connection.protocol,
            "orig_src": connection.original.src,
            "orig_sport": connection.original.sport,
            "orig_dst": connection.original.dst,
            "orig_dport": connection.original.dport,
            "helper": connection.helper,
            "children": choice.children,
        }
        present = {name: value for name, value in fields.items() if value is not None}
        yield json.dumps(present, separators=(",", ":"))
