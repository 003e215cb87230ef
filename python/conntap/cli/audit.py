"""`conntap audit`: what a gateway lets in through connection tracking, and how to close it.

Exit: 0 nothing of --fail-on or above, 1 found, 2 wrong usage or unreadable, 3 not found, but cannot tell.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import click

from conntap.cli.options import netns_option

if TYPE_CHECKING:
    from conntap.audit.baseline import Accepted, Compared
    from conntap.audit.run import Audited
    from conntap.audit.sides import Sides
    from conntap.cli.io import IO
    from conntap.gateway.state import Gateway

__all__ = ["audit"]

CLEAN, FOUND, UNREADABLE, CANNOT_TELL = 0, 1, 2, 3
SEVERITIES = ("info", "low", "medium", "high", "critical")

#: Option → the text whose file it names.
KINDS = {
    "nft": "nft.json",
    "iptables_save": "iptables-save",
    "ip6tables_save": "ip6tables-save",
    "sysctl": "sysctl",
    "parameters": "parameters",
}

EPILOG = (
    "Files: nft -j list ruleset, iptables-save, ip6tables-save, sysctl -a, module parameters, or a bundle of "
    "--collect; "
    "which is which is told by what they hold. "
    "Exit: 0 nothing of --fail-on or above, 1 found, 2 wrong usage or a file that cannot be read, 3 cannot tell. "
    "Examples: sudo conntap audit · conntap audit rules.json sysctl.txt --sarif audit.sarif · conntap audit "
    "explain A003"
)


class Ids(click.ParamType[tuple[str, ...]]):
    """Ids of findings: `A001,A004`."""

    name = "ids"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return cast("tuple[str, ...]", value)
        from conntap.audit.registry import BY_ID

        ids = tuple(word.strip().upper() for word in str(value).split(",") if word.strip())
        for one in ids:
            if one not in BY_ID:
                self.fail(f"there is no finding '{one}', they are {min(BY_ID)} to {max(BY_ID)}", param, ctx)
        return ids


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@netns_option
@click.option("--nft", "nft", metavar="FILE", help="Rules of nft as JSON: nft -j list ruleset.")
@click.option("--iptables-save", "iptables_save", metavar="FILE", help="Rules of iptables.")
@click.option("--ip6tables-save", "ip6tables_save", metavar="FILE", help="Rules of ip6tables.")
@click.option("--sysctl", metavar="FILE", help="Settings, as sysctl -a prints them.")
@click.option("--parameters", metavar="FILE", help="Module parameters, lines `module.parameter = value`.")
@click.option("--collect", metavar="FILE", help="Only write what was read to a tar, to be audited elsewhere.")
@click.option("--inside", multiple=True, metavar="IF", help="An interface that leads inside (may be given again).")
@click.option("--outside", multiple=True, metavar="IF", help="An interface that leads outside.")
@click.option("--inside-net", multiple=True, metavar="NET", help="A network inside, where addresses are not known.")
@click.option("--only", type=Ids(), default=(), metavar="IDS", help="Only these findings: A001,A004.")
@click.option("--skip", type=Ids(), default=(), metavar="IDS", help="Not these findings.")
@click.option("--baseline", metavar="FILE", help="Findings that are accepted, with their reasons.")
@click.option("--write-baseline", metavar="FILE", help="Write all findings as accepted.")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="medium",
    show_default=True,
    help="From which severity on the status is 1.",
)
@click.option(
    "--fix",
    type=click.Choice(["own", "nft", "iptables", "both", "none"]),
    default="own",
    show_default=True,
    help="Which fix the text shows; own: as the rule is written.",
)
@click.option("--json", "json_", is_flag=True, help="As one JSON object.")
@click.option("--sarif", metavar="FILE", help="Also write SARIF 2.1.0 for CI; - is standard output.")
@click.option("--prove", is_flag=True, help="Also load the rules in a lab, play sessions, and knock as a stranger.")
@click.option("--explain", metavar="ID", help="Tell what a finding is; `conntap audit explain ID` is the same.")
@click.option("--ascii", is_flag=True, help="Only ASCII signs.")
@click.option("--color/--no-color", default=None, help="Colours (default: on a terminal, unless NO_COLOR is set).")
@click.pass_obj
def audit(io: IO, files: tuple[str, ...], **options: Any) -> int:
    """Tell what a gateway lets in through connection tracking, and how to close it.

    Without FILE the running gateway is read, which needs root; nothing is changed.
    """
    io.ascii = io.ascii or options["ascii"]
    if files[:1] == ("explain",) or options["explain"]:
        words = [*files[1:]] if files[:1] == ("explain",) else [options["explain"]]
        return explain(io, words)
    try:
        return run(io, files, options)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        from conntap.errors import ConntapError

        if isinstance(error, ConntapError):
            raise
        failed = ConntapError(f"{error.filename or 'the gateway'}: {error.strerror or error}")
        failed.exit_code = UNREADABLE
        raise failed from error


def explain(io: IO, ids: list[str]) -> int:
    """Print what findings are."""
    from conntap.audit.registry import BY_ID, section
    from conntap.errors import UsageError

    for one in ids or list(BY_ID):
        check = BY_ID.get(one.upper())
        if check is None:
            raise UsageError(
                f"there is no finding '{one}', they are {min(BY_ID)} to {max(BY_ID)}", hint="conntap audit explain"
            )
        if ids:
            io.write(section(check).encode())
        else:
            io.write(f"{check.id}  {check.title}\n".encode())
    return CLEAN


def run(io: IO, files: tuple[str, ...], options: dict[str, Any]) -> int:
    """Read, audit, tell."""
    from conntap.audit.baseline import compare, read_baseline, write_baseline
    from conntap.audit.finding import Severity
    from conntap.audit.registry import BY_ID
    from conntap.audit.run import audit as audited_of
    from conntap.audit.sides import find_sides

    if options["prove"]:
        from conntap.cli.proof import ensure

        ensure(live=not files and not named(options))
    gateway, sources = read(files, options)
    if options["collect"]:
        from conntap.gateway.bundle import write_bundle

        write_bundle(gateway, options["collect"])
        io.say(f"{options['collect']}: {len(gateway.texts)} texts, with all addresses of the rules in them")
        for name, why in sorted(gateway.missing.items()):
            io.say(f"not had: {name}: {why}")
        return CLEAN
    accepted: list[Accepted] = read_baseline(options["baseline"]) if options["baseline"] else []
    sides = find_sides(
        gateway, inside=options["inside"], outside=options["outside"], inside_net=networks(options["inside_net"])
    )
    audited = audited_of(gateway, sides, only=options["only"], skip=options["skip"])
    asked = [one for one in BY_ID if (not options["only"] or one in options["only"]) and one not in options["skip"]]
    compared = compare(audited.findings, accepted, asked=asked)
    if options["write_baseline"]:
        count = write_baseline(options["write_baseline"], audited.findings, accepted)
        io.say(f"{options['write_baseline']}: {count} finding{'s' * (count != 1)} accepted; write the reasons into it")
        return CLEAN
    status = status_of(compared, Severity[options["fail_on"].upper()])
    tell(io, gateway, sides, audited, compared, status, sources, options)
    return status


def read(files: tuple[str, ...], options: dict[str, Any]) -> tuple[Gateway, dict[str, str]]:
    """The gateway: of files if any is named, else the running one; and which text is of which file."""
    from conntap.errors import UsageError

    if not files and not named(options):
        from conntap.gateway.live import read_live

        gateway = read_live(options["netns"])
        if not gateway.rulesets and not options["collect"]:
            reasons = "; ".join(
                f"{name}: {gateway.missing[name]}" for name in KINDS.values() if name in gateway.missing
            )
            raise UsageError(f"no rules could be read: {reasons}", hint="run it with sudo, or give it files")
        return gateway, {}
    if options["netns"]:
        raise click.UsageError("--netns is for the running gateway, not for files")
    from conntap.gateway.files import read_files

    gateway = read_files(files, named(options))
    if not gateway.rulesets and not gateway.texts.get("sysctl") and not gateway.texts.get("parameters"):
        raise UsageError(
            "there is nothing to audit in these files", hint="give rules: nft -j list ruleset, or iptables-save"
        )
    return gateway, dict(gateway.files)


def named(options: dict[str, Any]) -> dict[str, str]:
    """Name of a text → the file that an option names."""
    return {text: options[option] for option, text in KINDS.items() if options[option]}


def networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Networks that were told, checked."""
    import ipaddress

    for text in texts:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise click.UsageError(f"--inside-net: '{text}' is no network: say 192.168.1.0/24") from error
    return texts


def status_of(compared: Compared, threshold: Any) -> int:
    """The exit status: what is found goes before what cannot be told."""
    from conntap.audit.finding import Severity

    if any(one.severity >= threshold and one.certain for one in compared.new):
        return FOUND
    if any(not one.certain and one.severity > Severity.INFO for one in compared.new):
        return CANNOT_TELL
    return CLEAN


def tell(
    io: IO,
    gateway: Gateway,
    sides: Sides,
    audited: Audited,
    compared: Compared,
    status: int,
    sources: dict[str, str],
    options: dict[str, Any],
) -> None:
    """Write the report in the ways that were asked for."""
    from conntap.audit.report import report

    if options["sarif"]:
        from conntap._core import __version__
        from conntap.audit.sarif import as_sarif

        text = json.dumps(as_sarif(compared, __version__, sources), indent=2) + "\n"
        if options["sarif"] == "-":
            io.write(text.encode())
            return
        with open(options["sarif"], "w", encoding="utf-8") as file:
            file.write(text)
    from conntap.cli import proof

    shown = proof.proved(gateway, sides, audited.findings) if options["prove"] else None
    if options["json_"]:
        from conntap.audit.document import as_document

        document = as_document(audited, compared, status)
        if shown is not None:
            document["proof"] = proof.proof_document(*shown, audited.findings)
        io.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        return
    color = io.color if options["color"] is None else options["color"]
    lines = [*report(audited, compared, width=io.width, color=color, fix=options["fix"])]
    if shown is not None:
        lines += ["", *proof.proof_lines(*shown, audited.findings, color=color)]
    text = "\n".join(lines) + "\n"
    if io.ascii:
        text = text.translate({ord("–"): "-", ord("…"): "...", ord("→"): "->"})
    io.write(text.encode())
