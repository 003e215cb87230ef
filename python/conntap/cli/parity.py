"""`conntap lab parity`: the same packets through this machine's kernel and through the userspace engine."""

from __future__ import annotations

import ipaddress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conntap.cli.options import Duration

if TYPE_CHECKING:
    from conntap.cli.io import IO
    from conntap.lab.parity.bulk import Bulk, Task
    from conntap.lab.parity.capture import Capture
    from conntap.lab.parity.harness import Options
    from conntap.lab.parity.report import Report
    from conntap.nat import NatRule

__all__ = ["parity"]

#: Longer gaps of a capture are cut to this, in seconds, unless told otherwise.
SQUEEZED = 0.05

#: Exit codes: as of `cmp`.
EQUAL, DIFFERENT, TROUBLE = 0, 1, 2


class Address(click.ParamType[str]):
    """An IPv4 or IPv6 address."""

    name = "ADDR"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            self.fail(f"'{value}' is no address", param, ctx)


class Setting(click.ParamType[tuple[str, int]]):
    """A number for a setting of connection tracking, said as `nf_conntrack_tcp_loose=0`."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value  # pyright: ignore[reportUnknownVariableType]
        name, _, number = str(value).partition("=")
        name = name.replace("/", ".").removeprefix("net.").removeprefix("netfilter.")
        if not name.startswith("nf_conntrack_") or not number.isdecimal():
            self.fail(f"'{value}' is no setting: say nf_conntrack_tcp_loose=0", param, ctx)
        return name, int(number)


@click.command(
    epilog="Examples: conntap lab parity capture.pcap --auto-helpers · conntap lab parity --generate 1000 --nat"
)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--helper", "helpers", multiple=True, metavar="NAME[=PROTO/PORT]", help="Connections to that port get this helper."
)
@click.option("--auto-helpers", is_flag=True, help="Every helper on its well-known port.")
@click.option(
    "--left",
    multiple=True,
    type=Address(),
    help="A host on the left; default: of two hosts, the one that speaks first.",
)
@click.option("--sysctl", "sysctls", multiple=True, type=Setting(), help="A setting, for both.")
@click.option("--snat", "snats", multiple=True, metavar="'[FILTER] to ADDRESS[:PORTS]'", help="Source NAT.")
@click.option("--dnat", "dnats", multiple=True, metavar="'[FILTER] to ADDRESS[:PORT]'", help="Destination NAT.")
@click.option("--masquerade", "masquerades", multiple=True, metavar="ADDRESS", help="Source NAT of private addresses.")
@click.option(
    "--nft",
    type=click.Path(exists=True, dir_okay=False),
    help="More rules for the kernel alone; its devices are r0 (left) and r1 (right).",
)
@click.option("--squeeze", type=Duration(), metavar="TIME", help="Cut longer gaps to TIME; default: 50ms.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), metavar="FACTOR", help="So many times as fast.")
@click.option("--honour-time", is_flag=True, help="Keep the gaps of the capture.")
@click.option("--linger", type=Duration(), metavar="TIME", default=0.0, help="Wait after the last packet.")
@click.option("--generate", type=click.IntRange(1), metavar="N", help="Compare N generated conversations.")
@click.option("--seed", type=click.IntRange(0), help="Of the generator; default: another each time.")
@click.option("--first", type=click.IntRange(0), default=0, metavar="NUMBER", help="Begin with this conversation.")
@click.option("--kind", metavar="KIND", help="Conversations of this kind alone.")
@click.option("--nat", is_flag=True, help="Generated conversations through a gateway that translates.")
@click.option("--tables", is_flag=True, help="Compare the tables after each packet as well: slow.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.pass_context
def parity(ctx: click.Context, **given: Any) -> int:
    """Compare the userspace engine with this kernel, packet by packet.

    The packets of FILE, or generated conversations, are forwarded by a gateway made of namespaces, whatever their
    addresses; with --snat or --dnat they must be as they arrive there. Then the engine gets them at the same times.
    Events, states, and what is forwarded must be equal.

    Exit 0: equal; 1: different, the first difference is told with its packet; 2: not compared.
    """
    from conntap.errors import ConntapError

    io: IO = ctx.obj
    check_usage(ctx, given)
    try:
        return compare_file(io, given) if given["file"] else compare_generated(io, given)
    except ConntapError as error:
        # 1 would say that they differ.
        error.exit_code = TROUBLE
        raise


#: Parameter → option.
FOR_FILES = {
    "helpers": "--helper", "auto_helpers": "--auto-helpers", "left": "--left", "sysctls": "--sysctl",
    "snats": "--snat", "dnats": "--dnat", "masquerades": "--masquerade", "nft": "--nft", "squeeze": "--squeeze",
    "speed": "--speed", "honour_time": "--honour-time", "linger": "--linger",
}  # fmt: skip
FOR_GENERATED = {"seed": "--seed", "first": "--first", "kind": "--kind", "nat": "--nat"}


def check_usage(ctx: click.Context, given: dict[str, Any]) -> None:
    """Refuse options that do not go together."""
    if bool(given["file"]) == bool(given["generate"]):
        raise click.UsageError("say a FILE, or --generate N", ctx)
    for name, option in (FOR_GENERATED if given["file"] else FOR_FILES).items():
        if given[name]:
            raise click.UsageError(f"{option} goes with {'--generate' if given['file'] else 'a FILE'}", ctx)
    if sum(bool(given[option]) for option in ("squeeze", "speed", "honour_time")) > 1:
        raise click.UsageError("--squeeze, --speed and --honour-time: only one of them", ctx)
    if given["kind"]:
        from conntap.lab.parity.generate import kinds

        known = [name.removeprefix("nat-") for name in kinds(nat=given["nat"])]
        if given["kind"].removeprefix("nat-") not in known:
            raise click.UsageError(f"there is no kind '{given['kind']}': one of {', '.join(known)}", ctx)


def compare_file(io: IO, given: dict[str, Any]) -> int:
    """Compare one capture."""
    from conntap.cli.lab import ensure_namespaces
    from conntap.lab.parity import capture
    from conntap.lab.parity.engine import EngineSubject
    from conntap.lab.parity.harness import compare_packets

    nat = nat_of(given)
    options = options_of(given, nat)
    found = capture.read(given["file"], left={ipaddress.ip_address(address).packed for address in options.left})
    ensure_namespaces()  # may start this program once more
    if given["nft"]:
        io.say(f"note: the engine is not told of the rules in {given['nft']}")
    tell_duration(io, found, options)
    subject = EngineSubject(helpers=options.helpers, sysctls=options.sysctls, nat=nat, tables=options.tables)
    report = compare_packets(found.packets, subject, options, skipped=found.skipped)
    tell(io, report, as_json=given["as_json"])
    return EQUAL if report.equal else DIFFERENT


def nat_of(given: dict[str, Any]) -> list[NatRule]:
    """The translation; the destination's comes first in the kernel."""
    from conntap.nat import dnat, masquerade, snat

    return [*map(dnat, given["dnats"]), *map(snat, given["snats"]), *map(masquerade, given["masquerades"])]


def helpers_of(given: dict[str, Any]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Helper → (protocol, port) pairs."""
    from conntap.helpers.assign import PROTOCOLS, assign
    from conntap.lab.parity.rules import USUAL_HELPERS

    words = {number: word for word, number in PROTOCOLS.items()}
    found = dict(USUAL_HELPERS) if given["auto_helpers"] else {}
    for rule in (rule for text in given["helpers"] for rule in assign(text)):
        found[rule.helper] = (*found.get(rule.helper, ()), (words[rule.l4proto], rule.port))
    return found


def options_of(given: dict[str, Any], nat: list[NatRule]) -> Options:
    """How the capture is run."""
    from conntap.lab.parity.harness import Options
    from conntap.lab.parity.nat_rules import nft_text
    from conntap.lab.parity.run import AS_CAPTURED, Pacing

    if given["honour_time"]:
        pacing = AS_CAPTURED
    elif given["speed"]:
        pacing = Pacing(scale=1 / given["speed"])
    else:
        pacing = Pacing(longest_s=SQUEEZED if given["squeeze"] is None else given["squeeze"])
    return Options(
        left=given["left"],
        helpers=helpers_of(given),
        sysctls={f"netfilter/{name}": value for name, value in given["sysctls"]},
        nft=(nft_text(nat) if nat else "") + (Path(given["nft"]).read_text(encoding="utf-8") if given["nft"] else ""),
        pacing=pacing,
        linger_s=given["linger"],
        tables=given["tables"],
    )


def tell_duration(io: IO, found: Capture, options: Options) -> None:
    """Say how long the gaps will take, if that is long."""
    times = [packet.time_ns for packet in found.packets]
    waits = sum(options.pacing.wait_ns(after - before) for before, after in pairwise(times))
    if (seconds := waits / 1e9 + options.linger_s) > 10:
        io.say(f"{len(times):,} packets; their gaps take {seconds:.0f} s")


def compare_generated(io: IO, given: dict[str, Any]) -> int:
    """Compare generated conversations."""
    import random

    from conntap.cli.lab import ensure_namespaces
    from conntap.lab.parity.bulk import Bulk, Task
    from conntap.lab.parity.workers import run_parallel

    kind = given["kind"] and ("nat-" if given["nat"] else "") + given["kind"].removeprefix("nat-")
    seed = random.SystemRandom().randrange(1 << 32) if given["seed"] is None else given["seed"]
    task = Task(
        seed=seed, first=given["first"], count=given["generate"], kind=kind, nat=given["nat"], tables=given["tables"]
    )
    ensure_namespaces()
    io.say(f"seed {seed}   (repeat with: {task.command})")
    done = Bulk()
    for _, part in run_parallel([task]):
        done.add(part)
        progress(io, done, task)
        if done.found:
            break
    end_progress(io)
    tell_generated(io, done, task, as_json=given["as_json"])
    return DIFFERENT if done.found else EQUAL


def progress(io: IO, done: Bulk, task: Task) -> None:
    """One line that is written anew, where a person looks."""
    if io.err.isatty():
        io.err.write(f"\r{done.conversations:,} of {task.count:,} conversations, {done.packets:,} packets ")
        io.err.flush()


def end_progress(io: IO) -> None:
    """Leave the line."""
    if io.err.isatty():
        io.err.write("\r\x1b[K")
        io.err.flush()


def tell(io: IO, report: Report, *, as_json: bool) -> None:
    """Print the result of a capture."""
    io.write(as_line(of_report(report)) if as_json else in_signs(io, report.text()))


def tell_generated(io: IO, done: Bulk, task: Task, *, as_json: bool) -> None:
    """Print the result of generated conversations."""
    if as_json:
        sums = {
            "equal": not done.found,
            "seed": task.seed,
            "conversations": done.conversations,
            "packets": done.packets,
            "events": done.messages,
            "forwarded": done.forwarded,
            "kinds": dict(sorted(done.kinds.items())),
        }
        first = {**of_report(done.found[0].report), "repeat": done.found[0].task.command} if done.found else None
        io.write(as_line({**sums, "first": first}))
        return
    for found in done.found[:1]:
        io.write(in_signs(io, found.text() + "\n"))
    sums = f"{done.packets:,} packets, {done.messages:,} events, {done.forwarded:,} forwarded"
    word = "different" if done.found else "equal"
    io.write(in_signs(io, f"{word}: {done.conversations:,} conversations, {sums}\n"))


def of_report(report: Report) -> dict[str, Any]:
    """A report as JSON has it; bytes are hex."""
    found: dict[str, Any] = {
        "equal": report.equal,
        "packets": report.packets,
        "events": report.messages,
        "forwarded": report.forwarded,
        "left_out": report.skipped,
    }
    difference = report.difference
    if difference is not None:
        steps = report.runs[0].steps
        packet = steps[difference.step].packet if difference.step < len(steps) else None
        found["difference"] = {
            "what": difference.what,
            "packet": packet and packet.number,
            "packet_bytes": packet and packet.ip.hex(),
            "kernel": [part.hex() for part in difference.expected],
            "engine": [part.hex() for part in difference.actual],
            "at": difference.at,
            "text": report.text(),
        }
    return found


def as_line(value: dict[str, Any]) -> bytes:
    """One line of JSON."""
    import json

    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def in_signs(io: IO, text: str) -> bytes:
    """Text as the terminal can show it."""
    from conntap.cli.io import IN_ASCII

    return text.translate({**IN_ASCII, ord("≠"): "!="} if io.ascii else {}).encode()
