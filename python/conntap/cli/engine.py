"""Options of the commands that run packets through the userspace engine, and the setup that they mean."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.tracker import Setup

__all__ = ["OPTIONS", "engine_options", "files_and_filter", "make_setup", "take_engine_options"]

F = TypeVar("F", bound="Callable[..., Any]")

#: Names of the parameters that `engine_options` adds.
OPTIONS = (
    "helpers", "auto_helpers", "helpers_from", "helper_options", "sysctls", "no_checksum", "snats", "dnats",
    "redirects", "masquerades", "local",
)  # fmt: skip

CAPTURE = re.compile(r"\.(pcap|pcapng|cap|dmp)\d*(\.(gz|zst))?$", re.IGNORECASE)


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
        click.option("--snat", "snats", multiple=True, metavar="'[FILTER] to ADDRESS[:PORTS]'", help="Packets: source NAT."),
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


def make_setup(
    *,
    helpers: tuple[str, ...],
    auto_helpers: bool,
    helpers_from: str | None,
    helper_options: tuple[str, ...],
    sysctls: tuple[str, ...],
    no_checksum: bool,
    snats: tuple[str, ...],
    dnats: tuple[str, ...],
    redirects: tuple[str, ...],
    masquerades: tuple[str, ...],
    local: tuple[str, ...],
) -> Setup:
    """Make the setup that the options mean; accounting and times are on, since they cost nothing here."""
    from ipaddress import IPv4Interface

    from conntap.errors import UsageError
    from conntap.helpers.assign import assign, from_ruleset, well_known_assignments
    from conntap.nat import dnat, masquerade, redirect, snat
    from conntap.tracker import Setup

    setup = Setup(settings={"acct": 1, "timestamp": 1})
    assigned = [rule for text in helpers for rule in assign(text)]
    if helpers_from:
        assigned += from_ruleset(_text_of(helpers_from))
    if auto_helpers:
        assigned += well_known_assignments()
    settings = {**setup.settings, **{name: value for text in sysctls for name, value in _settings(text)}}
    if no_checksum:
        settings["checksum"] = 0
    chosen: dict[str, dict[str, int]] = {}
    for text in helper_options:
        found = re.fullmatch(r"([^.=]+(?:\.\d+)?)\.(\w+)=(\d+)", text)
        if not found:
            raise UsageError(f"'{text}' sets no parameter", hint="say NAME.PARAMETER=VALUE, as in irc.dcc_timeout=600")
        chosen.setdefault(found[1], {})[found[2]] = int(found[3])
    try:
        networks = tuple(IPv4Interface(text) for text in local)
    except ValueError as error:
        raise UsageError(f"--local: {error}", hint="say --local 192.168.1.1/24") from error
    # In the order of the kernel's hooks the destination comes first; among each kind the order is that of the options.
    nat = (*map(dnat, dnats), *map(redirect, redirects), *map(snat, snats), *map(masquerade, masquerades))
    return replace(
        setup, settings=settings, helpers=tuple(assigned), helper_options=chosen, nat=nat, local_networks=networks
    )


def _text_of(path: str) -> str:
    from conntap.errors import UsageError

    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _settings(text: str) -> list[tuple[str, int]]:
    """One setting, or those of a file of `sysctl -a` that are conntrack's."""
    from conntap.errors import UsageError

    name, equals, value = text.partition("=")
    if equals and not os.path.exists(text):
        if not value.strip().isdecimal():
            raise UsageError(f"'{text}': the value is no number")
        return [(name.strip(), int(value))]
    found = re.findall(r"^net\.netfilter\.(nf_conntrack_\w+)\s*=\s*(\d+)\s*$", _text_of(text), re.MULTILINE)
    if not found:
        raise UsageError(f"{text} holds no settings of conntrack", hint="make it with: sysctl -a > FILE")
    return [(name, int(value)) for name, value in found]


def files_and_filter(words: tuple[str, ...], *, first: bool = False) -> tuple[list[str], str]:
    """Tell capture files from the filter: those that come first and look like one; *first*: the first is one anyhow."""
    files: list[str] = []
    for at, word in enumerate(words):
        if (first and at == 0) or (CAPTURE.search(word) and os.path.exists(word)):
            files.append(word)
        else:
            break
    return files, " ".join(words[len(files) :])
