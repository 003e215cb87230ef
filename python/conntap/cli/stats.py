"""`conntap stats`: the kernel's own counters, per CPU and in sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from conntap.cli.options import netns_option

if TYPE_CHECKING:
    from conntap.cli.io import IO

__all__ = ["stats"]

#: What a counter means, for those that tell of trouble. Source: net/netfilter/nf_conntrack_core.c.
MEANINGS = {
    "found": "lookups that found an entry",
    "invalid": "packets that fit no connection",
    "insert": "entries inserted by hand or resolved clashes",
    "insert_failed": "entries that lost a race and were dropped with their packet",
    "drop": "packets dropped: table full or no memory",
    "early_drop": "unassured entries thrown out to make room",
    "error": "malformed ICMP errors",
    "search_restart": "lookups begun anew because the table changed",
    "clash_resolve": "races settled without loss",
    "chaintoolong": "packets dropped because a hash chain was full",
    "expect_new": "expectations made",
    "expect_create": "expectations inserted",
    "expect_delete": "expectations used or timed out",
}


@click.command(epilog="Example: conntap stats --per-cpu")
@netns_option
@click.option("--per-cpu", is_flag=True, help="One column a CPU.")
@click.option("--json", "json_", is_flag=True, help="One JSON object a CPU and a line.")
@click.pass_obj
def stats(io: IO, netns: str | None, per_cpu: bool, json_: bool) -> None:
    """Show the kernel's own counters."""
    import conntap

    with conntap.open(netns) as ct:
        entries, limit = ct.count(), ct.limit()
        cpus = [{**a, **b} for a, b in zip(ct.stats(), ct.expectation_stats(), strict=True)]
    if json_:
        import json

        for cpu in cpus:
            io.write(json.dumps({**cpu, "entries": entries, "max_entries": limit}).encode() + b"\n")
        return
    lines = [f"{'entries':<15}{entries:>12,}  of {limit or 0:,} that the table may hold"]
    for name in (name for name in cpus[0] if name != "cpu"):
        values = [cpu.get(name, 0) for cpu in cpus]
        columns = "".join(f"{value:>12,}" for value in (values if per_cpu else [sum(values)]))
        lines.append(f"{name:<15}{columns}  {MEANINGS.get(name, '')}".rstrip())
    io.write(("\n".join(lines) + "\n").encode())
