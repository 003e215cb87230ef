"""`conntap guard`: holds a live gateway to a policy for expectations."""

from __future__ import annotations

import json
import signal
import time
from contextlib import ExitStack
from typing import IO as File
from typing import TYPE_CHECKING, Any, Final

import click

from conntap.cli.options import Duration, netns_option

if TYPE_CHECKING:
    from types import FrameType

    from conntap.cli.io import IO
    from conntap.guard.policy import Policy
    from conntap.guard.watch import Decided, Guard
    from conntap.store.decisions import DecisionLog

__all__ = ["guard"]

TICK_SECONDS: Final = 0.2
#: How often the file of metrics is written anew.
METRICS_SECONDS: Final = 5.0

EPILOG = (
    "Exit: 0 ended as asked (of --explain: allowed), 1 failed (of --explain: not allowed; of --release: there was "
    "nothing), 2 wrong usage or a faulty policy. Examples: sudo conntap guard --dry-run · "
    "sudo conntap guard --policy guard.toml --hold · conntap guard --policy guard.toml --check"
)


@click.command(epilog=EPILOG)
@click.option("--policy", metavar="FILE", help="What is allowed (default: built in, see --example).")
@click.option(
    "--hold", is_flag=True, help="Fail closed: only what was approved gets in, by a table of the guard's own."
)
@click.option("--print", "print_", is_flag=True, help="With --hold: only print the rules of that table.")
@click.option("--release", is_flag=True, help="Remove the table that a killed guard has left closed.")
@click.option("--dry-run", is_flag=True, help="Decide and tell; change nothing.")
@click.option("--check", is_flag=True, help="Only check the policy.")
@click.option("--example", is_flag=True, help="Print a policy with what holds without one.")
@click.option("--explain", metavar="EXPECTATION", help="Decide about one: a line of conntrack -L expect, or JSON.")
@click.option("--json", "json_", is_flag=True, help="One JSON object a decision.")
@click.option("--log", "log_file", metavar="FILE", help="Append every decision to FILE, as JSON lines.")
@click.option("--ledger", metavar="DIR", help="Append every decision to a ledger: conntap sql has a view of them.")
@click.option("--metrics", metavar="FILE", help="Write counters for Prometheus' textfile collector.")
@click.option("--summary", metavar="FILE", help="At the end write the counters as JSON.")
@click.option("--duration", type=Duration(), metavar="TIME", help="Stop after this time.")
@click.option("--quiet", is_flag=True, help="Tell only what is not allowed.")
@netns_option
@click.pass_obj
def guard(io: IO, policy: str | None, netns: str | None, **options: Any) -> int:
    """Decide about every expectation that a helper makes, and take back what the policy does not allow.

    Without --hold it deletes what is not allowed as soon as it hears of it; with it nothing gets in before it is
    approved.
    """
    from conntap.guard.policy import Policy
    from conntap.guard.read import EXAMPLE, read_policy

    if options["example"]:
        io.write(EXAMPLE.encode())
        return 0
    if options["print_"]:
        if not options["hold"]:
            raise click.UsageError("--print goes with --hold")
        from conntap.guard.hold_rules import rules_text

        io.write(rules_text().encode())
        return 0
    chosen = read_policy(policy) if policy else Policy()
    if options["check"]:
        io.say(f"{policy or 'the built-in policy'}: nothing is wrong with it")
        return 0
    if options["explain"] is not None:
        return explain(io, chosen, options["explain"], json_=options["json_"])
    if options["release"]:
        from conntap.guard.hold import release

        there = release(netns)
        io.say(
            "released: RELATED packets meet the gateway's own rules alone" if there else "there was nothing to release"
        )
        return 0 if there else 1
    return run(io, chosen, netns, **options)


def explain(io: IO, policy: Policy, text: str, *, json_: bool) -> int:
    """Which line decides about an expectation, and why."""
    from conntap.guard.decide import NoState, decide
    from conntap.guard.subject import read_expectation

    subject = read_expectation(text)
    decision = decide(policy, subject, NoState())
    if json_:
        told = {"allowed": decision.allowed, "rule": decision.rule, "reason": decision.reason, **subject.as_dict()}
        io.write(json.dumps(told, separators=(",", ":")).encode() + b"\n")
    else:
        word = "allowed" if decision.allowed else "not allowed"
        io.write(f"{word}: {decision.reason} ({decision.rule})\n  {subject}\n".encode())
    return 0 if decision.allowed else 1


def run(io: IO, policy: Policy, netns: str | None, **options: Any) -> int:
    """Guard until a signal or the end of the time."""
    from conntap.guard.alone import lock
    from conntap.guard.hold import Hold
    from conntap.guard.watch import Guard
    from conntap.systemd import Notifier

    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    notifier = Notifier.of_process()
    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, stop))
        for option in ("summary", "metrics"):
            if options[option]:
                opened(options[option], f"--{option}").close()  # told before the work, not behind it
        log = stack.enter_context(opened(options["log_file"], "--log")) if options["log_file"] else None
        ledger = ledger_of(options["ledger"]) if options["ledger"] else None
        stack.enter_context(lock(netns))
        hold = Hold(netns) if options["hold"] and not options["dry_run"] else None
        teller = Teller(io, log, ledger, json_=options["json_"], quiet=options["quiet"])
        guard = stack.enter_context(Guard(policy, netns=netns, dry_run=options["dry_run"], hold=hold, tell=teller))
        teller.guard = guard
        io.say(words(policy, hold is not None, options["dry_run"]))
        notifier.ready("guarding")
        deadline = None if options["duration"] is None else time.monotonic() + options["duration"]
        next_metrics = 0.0
        while not stopping and not io.abandoned():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                break
            guard.step(TICK_SECONDS if deadline is None else min(TICK_SECONDS, max(0.0, deadline - now)))
            notifier.alive()
            if options["metrics"] and now >= next_metrics:
                next_metrics = now + METRICS_SECONDS
                keep(guard, options["metrics"])
        notifier.stopping()
        guard.step(0)
        if options["metrics"]:
            keep(guard, options["metrics"])
    counts = guard.metrics.as_dict()
    if options["summary"]:
        with open(options["summary"], "w", encoding="utf-8") as file:
            json.dump(counts, file)
    io.say(summary(guard))
    return 0


def keep(guard: Guard, path: str) -> None:
    """Write the counters. A full disk ends no guard: it is counted."""
    try:
        guard.metrics.write(path)
    except OSError:
        guard.metrics.add("metrics_failed")


def opened(path: str, option: str) -> File[str]:
    """A file that is written to, behind what is there.

    Raises:
        UsageError: it cannot be written.
    """
    from conntap.errors import UsageError

    try:
        return open(path, "a", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}") from error


def ledger_of(directory: str) -> DecisionLog:
    """The ledger that decisions are appended to.

    Raises:
        UsageError: it cannot be written.
    """
    from conntap.errors import UsageError
    from conntap.store.decisions import DecisionLog

    try:
        return DecisionLog(directory)
    except OSError as error:
        raise UsageError(f"--ledger {directory}: {error.strerror}") from error


def words(policy: Policy, hold: bool, dry_run: bool) -> str:
    """What begins."""
    what = "dry run, nothing is changed" if dry_run else ", ".join(policy.actions.on_deny)
    return f"guarding by {policy.name} policy{' · hold: closed but for what is approved' if hold else ''} · {what}"


class Teller:
    """Writes decisions, for people or as JSON, and to the log."""

    def __init__(self, io: IO, log: File[str] | None, ledger: DecisionLog | None, *, json_: bool, quiet: bool) -> None:
        self.io = io
        self.log = log
        self.ledger = ledger
        self.json = json_
        self.quiet = quiet
        self.guard: Guard | None = None

    def __call__(self, decided: list[Decided]) -> None:
        """Tell a batch."""
        if self.log is not None:
            try:
                self.log.write("".join(json.dumps(one.as_dict(), separators=(",", ":")) + "\n" for one in decided))
                self.log.flush()
            except OSError:
                if self.guard is not None:
                    self.guard.metrics.add("log_failed", len(decided))
        if self.ledger is not None:
            try:
                self.ledger.write(one.as_dict() for one in decided)
            except OSError:
                if self.guard is not None:
                    self.guard.metrics.add("log_failed", len(decided))
        lines = [self.line(one) for one in decided if not (self.quiet and one.decision.allowed)]
        if lines:
            self.io.write("".join(f"{line}\n" for line in lines).encode())

    def line(self, one: Decided) -> str:
        if self.json:
            return json.dumps(one.as_dict(), separators=(",", ":"))
        stamp = time.strftime("%H:%M:%S", time.localtime(one.received_ns // 1_000_000_000))
        took = f" in {one.reaction_ns / 1e6:.2f} ms" if one.reaction_ns else ""
        if one.decision.allowed:
            return f"{stamp}  allowed  {one.subject}"
        why = f"{one.decision.reason} ({one.decision.rule})"
        return f"{stamp}  DENIED   {one.what} {one.subject}: {why} · {one.outcome}{took}"


def summary(guard: Guard) -> str:
    """What was done, and what was lost."""
    counts, reaction = guard.metrics.counts, guard.metrics.reaction
    parts = [f"{counts['expectations']:,} expectations", f"{counts['allowed']:,} allowed", f"{counts['denied']:,} not"]
    parts += [
        f"{counts[name]:,} {text}"
        for name, text in (
            ("deleted", "deleted"),
            ("gone", "gone before that"),
            ("not_deleted", "could not be deleted"),
            ("related_deleted", "connections ended"),
            ("related_denied", "connections had come by one that is not allowed"),
            ("put_back", "put back"),
            ("blocked", "masters blocked"),
            ("alerts_failed", "alerts failed"),
            ("alerts_dropped", "alerts dropped"),
            ("log_failed", "decisions not logged"),
            ("metrics_failed", "times the counters not written"),
        )
        if counts[name]
    ]
    if reaction.count:
        p50, p99 = reaction.quantile(0.5) or 0, reaction.quantile(0.99) or 0
        parts.append(f"reaction p50 {p50 / 1e6:.2f} ms, p99 {p99 / 1e6:.2f} ms")
    lost = (
        f"{counts['lost']:,} events lost, the table was read {counts['overruns']} times"
        if counts["lost"]
        else "nothing lost"
    )
    return " · ".join([*parts, lost])
