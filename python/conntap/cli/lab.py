"""`conntap lab`: real traffic through a gateway made of namespaces, and what its kernel reports."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from conntap.cli.options import output_options
from conntap.cli.parity import parity
from conntap.cli.proof import prove_command

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from conntap import _core
    from conntap.cli.io import IO
    from conntap.lab.scenarios.facts import Scenario
    from conntap.lab.session import Session
    from conntap.lab.topology import Lab

__all__ = ["lab"]


@click.group()
def lab() -> None:
    """Run real traffic through a NAT gateway made of namespaces.

    Needs no root where the kernel lets users make namespaces; nothing outside of them is touched.
    """


lab.add_command(parity)
lab.add_command(prove_command)


@lab.command(name="list")
@click.pass_obj
def list_(io: IO) -> None:
    """List the scenarios."""
    from conntap.lab.scenarios import SCENARIOS

    width = max(len(name) for name in SCENARIOS)
    lines = [f"{name:<{width}}  {description}\n" for name, (_, description) in SCENARIOS.items()]
    io.write("".join(lines).encode())


@lab.command(epilog="Example: conntap lab run ftp-active --show")
@click.argument("wanted", nargs=-1, required=True, metavar="NAME...")
@output_options
@click.option("--keep-going", is_flag=True, help="Again and again, until ctrl+c.")
@click.option(
    "--record", "recording", metavar="FILE", help="Also write the events to FILE (pcapng), which replays anywhere."
)
@click.option("--show", is_flag=True, help="First show the hosts and the gateway's rules.")
@click.pass_obj
def run(io: IO, wanted: tuple[str, ...], keep_going: bool, show: bool, recording: str | None, **output: Any) -> int:
    """Run scenarios ("all": every one) and print the gateway's events as they come.

    Ends with what each scenario must have caused; exit 1 if one of those events was not seen.
    """
    from conntap.lab import Lab
    from conntap.lab.scenarios import SCENARIOS, load

    scenarios = [load(name) for name in (SCENARIOS if wanted == ("all",) else wanted)]
    ensure_namespaces()
    failed = 0
    with Lab() as built, recorder(recording, wanted) as record:
        io.say(f"lab up in {built.setup_seconds:.2f} s; its gateway is --netns {built.gateway.pid}")
        if show:
            io.say(describe(built))
        try:
            while True:
                for scenario in scenarios:
                    failed += not watch_one(io, built, scenario, record, output)
                if not keep_going:
                    break
        except KeyboardInterrupt:
            if not keep_going:
                raise
            io.say("")
    return 1 if failed else 0


@contextmanager
def recorder(path: str | None, wanted: tuple[str, ...]) -> Generator[Callable[[_core.Batch], None]]:
    """What takes the batches to record them; takes them for nothing where no file is asked for."""
    if path is None:
        yield lambda _batch: None
        return
    from conntap.recording import RecordWriter

    with RecordWriter(path, description=f"conntap lab run {' '.join(wanted)}") as file:
        yield file.write


def ensure_namespaces() -> None:
    """Go on in a sandbox if this process may not make namespaces itself; the program then starts once more."""
    from conntap.lab import kernel, sandbox

    if not kernel.has_sys_admin():
        sandbox.enter()


def watch_one(
    io: IO, built: Lab, scenario: Scenario, record: Callable[[_core.Batch], None], output: dict[str, Any]
) -> bool:
    """Run one scenario, print its events, judge them; return whether all that had to be seen was."""
    from conntap.cli.output import make_formatter
    from conntap.lab.session import Session

    io.say(f"\n{scenario.name}: {scenario.description}")
    formatter = make_formatter(io, **output)
    session = Session(built, scenario)
    for batch in session.batches():
        record(batch)
        io.write(formatter.format(batch))
    io.write(formatter.finish())
    verdict(io, session)
    built.reset()
    return not session.missing()


def verdict(io: IO, session: Session) -> None:
    """Say what happened, and each event that had to follow from it, with a sign whether it did."""
    facts = session.facts
    if facts is None:
        return
    seen, unseen = ("ok", "--") if io.ascii else ("✓", "✗")
    missing = session.missing()
    io.say(f"{facts.summary}:")
    for claim in facts.claims:
        io.say(f"  {unseen if claim in missing else seen} {claim.says}")
    lost = session.counters.get("lost", 0)
    io.say(f"  {len(session.seen)} events, {f'{lost} lost' if lost else 'nothing lost'}")


def describe(built: Lab) -> str:
    """The hosts, how to look into them, and the gateway's rules."""
    from conntap.lab import topology
    from conntap.lab.ruleset import GATEWAY_RULES

    hosts = "\n".join(
        f"  {host.name:<8} nsenter -t {host.pid} -n" for host in (built.client, built.gateway, built.server)
    )
    picture = (topology.__doc__ or "").split("\n\n")[1]
    return f"\n{picture}\n\n{hosts}\n\n{GATEWAY_RULES}"
