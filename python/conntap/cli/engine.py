"""Options of the commands that run packets through the userspace engine, and the setup that they mean."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Interface

    from conntap.cli.io import IO
    from conntap.helpers.assign import Assignment
    from conntap.tracker import Setup

__all__ = ["engine_options", "files_and_filter", "make_setup", "refuse_engine_options", "take_engine_options"]

F = TypeVar("F", bound="Callable[..., Any]")

#: What `engine_options` adds: parameter → option.
OPTIONS = {
    "helpers": "--helper",
    "auto_helpers": "--auto-helpers",
    "helpers_from": "--helpers-from",
    "helper_options": "--helper-option",
    "sysctls": "--sysctl",
    "no_checksum": "--no-checksum",
    "snats": "--snat",
    "dnats": "--dnat",
    "redirects": "--redirect",
    "masquerades": "--masquerade",
    "local": "--local",
}

CAPTURE = re.compile(r"\.(pcap|pcapng|cap|dmp)\d*(\.(gz|zst))?$", re.IGNORECASE)
NUMBER = re.compile(r"[0-9]{1,10}")
HELPER_OPTION = re.compile(r"(.+)\.(\w+)=([0-9]{1,9})")
SYSCTL = re.compile(r"^net\.netfilter\.(nf_conntrack_\w+)\s*=\s*([0-9]{1,10})\s*$", re.MULTILINE)


def engine_options(command: F) -> F:
    """What a gateway is told by sysctls and rules, for packets."""
    for option in reversed((
        click.option(
            "--helper", "helpers", multiple=True, metavar="NAME[=PROTO/PORT]",
            help="Packets: new connections to that port carry this helper.",
        ),
        click.option("--auto-helpers", is_flag=True, help="Packets: every helper on its well-known port."),
        click.option(
            "--helpers-from", metavar="FILE", help="Packets: assign helpers as this `nft -j list ruleset` does."
        ),
        click.option(
            "--helper-option", "helper_options", multiple=True, metavar="NAME.PARAMETER=VALUE",
            help="Packets: a parameter of the helper's kernel module.",
        ),
        click.option(
            "--sysctl", "sysctls", multiple=True, metavar="NAME=VALUE|FILE",
            help="Packets: a setting of nf_conntrack, or a file of `sysctl -a`.",
        ),
        click.option("--no-checksum", is_flag=True, help="Packets: do not verify (captures made on the sending host)."),
        click.option(
            "--snat", "snats", multiple=True, metavar="'[FILTER] to ADDRESS[:PORTS]'", help="Packets: source NAT."
        ),
        click.option(
            "--dnat", "dnats", multiple=True, metavar="'[FILTER] to ADDRESS[:PORT]'", help="Packets: destination NAT."
        ),
        click.option(
            "--redirect", "redirects", multiple=True, metavar="'[FILTER] to ADDRESS:PORT'",
            help="Packets: destination NAT to the gateway's own address.",
        ),
        click.option(
            "--masquerade", "masquerades", multiple=True, metavar="ADDRESS",
            help="Packets: source NAT of private addresses.",
        ),
        click.option(
            "--local", multiple=True, metavar="ADDRESS/LENGTH",
            help="Packets: an address of the gateway itself, with its network (broadcast helpers).",
        ),
    )):  # fmt: skip
        command = option(command)
    return command


def take_engine_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take what `engine_options` added out of a command's options."""
    return {name: options.pop(name) for name in OPTIONS}


def refuse_engine_options(engine: dict[str, Any], instead: str) -> None:
    """Refuse options that would do nothing; *instead* says what they go with.

    Raises:
        click.UsageError: one of them was given.
    """
    given = next((option for name, option in OPTIONS.items() if engine[name]), None)
    if given:
        raise click.UsageError(f"{given} goes with {instead}")


def make_setup(io: IO, engine: dict[str, Any]) -> Setup:
    """Make the setup that the options mean; accounting and times are on, since they cost nothing here.

    Raises:
        UsageError: one of them says what cannot be.
    """
    from conntap.nat import dnat, masquerade, redirect, snat
    from conntap.tracker import COUNTED, Setup

    settings = {**COUNTED.settings}
    for text in engine["sysctls"]:
        settings.update(settings_of(io, text))
    if engine["no_checksum"]:
        settings["checksum"] = 0
    return Setup(
        settings=settings,
        helpers=tuple(assignments_of(io, engine)),
        helper_options=helper_options_of(engine["helper_options"]),
        # In the order of the kernel's hooks the destination comes first; within each kind that of the command line.
        nat=(
            *map(dnat, engine["dnats"]),
            *map(redirect, engine["redirects"]),
            *map(snat, engine["snats"]),
            *map(masquerade, engine["masquerades"]),
        ),
        local_networks=tuple(map(network_of, engine["local"])),
    )


def assignments_of(io: IO, engine: dict[str, Any]) -> list[Assignment]:
    """Which connections get helpers: what is said one by one comes first."""
    from conntap.errors import UsageError
    from conntap.helpers.assign import assign, well_known_assignments
    from conntap.helpers.ruleset import from_ruleset

    found = [rule for text in engine["helpers"] for rule in assign(text)]
    if path := engine["helpers_from"]:
        try:
            ruleset = from_ruleset(text_of(path))
        except UsageError as error:
            raise UsageError(f"{path}: {error}", hint=error.hint) from error
        for fault in ruleset.faults:
            io.say(f"warning: {path}: {fault}")
        found += ruleset.assignments
    if engine["auto_helpers"]:
        found += well_known_assignments()
    return found


def helper_options_of(texts: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Parameters by helper; one of "h323" is one of all that module's helpers, as in the kernel."""
    from conntap.errors import UsageError
    from conntap.helpers.assign import with_children
    from conntap.helpers.registry import resolve

    chosen: dict[str, dict[str, int]] = {}
    for text in texts:
        found = HELPER_OPTION.fullmatch(text)
        if not found:
            raise UsageError(f"'{text}' sets no parameter", hint="say NAME.PARAMETER=VALUE, as in irc.dcc_timeout=600")
        for name in with_children(resolve(found[1])):
            chosen.setdefault(name, {})[found[2]] = int(found[3])
    return chosen


def network_of(text: str) -> IPv4Interface:
    """The gateway's own address with its network."""
    from ipaddress import IPv4Interface

    from conntap.errors import UsageError

    try:
        return IPv4Interface(text)
    except ValueError as error:
        raise UsageError(f"--local: {error}", hint="say --local 192.168.1.1/24") from error


def text_of(path: str) -> str:
    """A text file's content."""
    from conntap.errors import UsageError

    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise UsageError(error.strerror or str(error)) from error


def settings_of(io: IO, text: str) -> dict[str, int]:
    """One setting, or those of a file of `sysctl -a` that are conntrack's; what the engine has not is told."""
    from conntap import _core
    from conntap.errors import UsageError

    name, equals, value = text.partition("=")
    if equals and not os.path.exists(text):
        if not NUMBER.fullmatch(value.strip()):
            raise UsageError(f"'{text}': the value is no number", hint="say nf_conntrack_tcp_loose=0")
        return {name.strip(): int(value)}
    try:
        listed = {name: int(value) for name, value in SYSCTL.findall(text_of(text))}
    except UsageError as error:
        raise UsageError(f"{text}: {error}") from error
    if not listed:
        raise UsageError(f"{text} holds no settings of conntrack", hint="make it with: sysctl -a > FILE")
    known: dict[str, int] = {}
    for name, value in listed.items():
        try:
            _core.Engine([(name, value)], bytes(16))
            known[name] = value
        except UsageError as error:
            io.say(f"note: {text}: {error}; it is left out")
    return known


def files_and_filter(words: tuple[str, ...], *, first: bool = False) -> tuple[list[str], str]:
    """Tell captures from the filter behind them.

    A capture is "-", what ends like one (also where it is missing, so that a slip is told), and a path that is there.

    Args:
        words: what was typed.
        first: the first word is a file, whatever it looks like.
    """
    files: list[str] = []
    for at, word in enumerate(words):
        is_file = word == "-" or CAPTURE.search(word) or ("/" in word and os.path.isfile(word))
        if not is_file and not (first and at == 0):
            break
        files.append(word)
    return files, " ".join(words[len(files) :])
