"""`conntap lab prove`, and what `conntap audit --prove` has in common with it: rules on the real kernel, told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.audit.finding import Finding
    from conntap.audit.sides import Sides
    from conntap.cli.io import IO
    from conntap.gateway.state import Gateway
    from conntap.lab.prove.fix import FixProof
    from conntap.lab.prove.model import Proof

__all__ = ["ensure", "proof_document", "proof_lines", "prove_command", "proved"]

CLOSED, OPEN, REFUSED = 0, 1, 2

EPILOG = (
    "Exit: 0 no knock of a stranger arrived, 1 some did, 2 the rules could not be loaded here. "
    "Examples: conntap lab prove rules.json --inside lan --outside wan · conntap lab prove iptables-save.txt --json"
)


def ensure(*, live: bool) -> None:
    """Make sure that namespaces can be made: begin again in a sandbox where that is needed and right.

    Call it before anything is read or printed. The rules of the running gateway are not those of a sandbox.

    Raises:
        NamespaceError: they can not, and the running gateway is asked for.
    """
    from conntap.lab import kernel, sandbox
    from conntap.lab.errors import NamespaceError

    if kernel.has_sys_admin():
        return
    if live:
        raise NamespaceError(
            "a proof of the running gateway needs root: its rules are read, and played in namespaces",
            hint="sudo conntap audit --prove, or give it files: nft -j list ruleset > rules.json",
        )
    sandbox.enter()


def proved(gateway: Gateway, sides: Sides, findings: Iterable[Finding]) -> tuple[Proof, list[FixProof]]:
    """The proof, and which fixes of findings close what is open."""
    from conntap.lab.prove import prove
    from conntap.lab.prove.fix import prove_fixes

    proof = prove(gateway, sides)
    return proof, [] if proof.refused else prove_fixes(gateway, sides, findings, proof)


def proof_lines(proof: Proof, fixes: list[FixProof], findings: Iterable[Finding], *, color: bool = False) -> list[str]:
    """For the text: the matrix, how it was reached, where rules and kernel say different things, what fixes do."""
    from conntap.lab.prove.agree import agree, reaches
    from conntap.lab.prove.picture import picture

    lines = picture(proof, color=color)
    lines += [f"rules and kernel differ: {one}" for one in agree(reaches(findings), proof)]
    return lines + [str(one) for one in fixes]


def proof_document(proof: Proof, fixes: list[FixProof], findings: Iterable[Finding]) -> dict[str, Any]:
    """For JSON: the same."""
    from conntap.lab.prove.agree import agree, reaches

    return proof.as_json() | {
        "disagreements": [str(one) for one in agree(reaches(findings), proof)],
        "fixes": [one.as_json() for one in fixes],
    }


@click.command(name="prove", epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--inside", multiple=True, metavar="IF", help="An interface that leads inside (may be given again).")
@click.option("--outside", multiple=True, metavar="IF", help="An interface that leads outside.")
@click.option("--inside-net", multiple=True, metavar="NET", help="A network inside, where addresses are not known.")
@click.option(
    "--helper", "helpers", multiple=True, metavar="NAME", help="Only this helper, also where none assigns it."
)
@click.option(
    "--port",
    "ports",
    multiple=True,
    type=click.IntRange(1, 65535),
    help="Strangers knock there (default: 22, 45678 and by the rules).",
)
@click.option("--json", "json_", is_flag=True, help="As one JSON object.")
@click.pass_obj
def prove_command(
    io: IO, files: tuple[str, ...], helpers: tuple[str, ...], ports: tuple[int, ...], **options: Any
) -> int:
    """Load rules in a lab and see which of a stranger's packets reach an inside host.

    For every helper that rules assign, honest sessions are played through them, and those that a server lures an inside
    host into; then that server and a third party knock. Needs no root where the kernel lets users make namespaces.
    """
    ensure(live=False)
    from conntap.audit.known import HELPERS
    from conntap.audit.run import audit
    from conntap.audit.sides import find_sides
    from conntap.cli.audit import networks
    from conntap.gateway.files import read_files
    from conntap.lab.prove import prove
    from conntap.lab.prove.fix import prove_fixes

    if unknown := [name for name in helpers if name not in HELPERS]:
        raise click.UsageError(f"there is no helper '{unknown[0]}', they are {', '.join(HELPERS)}")
    gateway = read_files(files)
    sides = find_sides(
        gateway, inside=options["inside"], outside=options["outside"], inside_net=networks(options["inside_net"])
    )
    proof = prove(gateway, sides, helpers=helpers or None, ports=ports)
    findings = audit(gateway, sides).findings
    fixes = [] if proof.refused else prove_fixes(gateway, sides, findings, proof)
    if options["json_"]:
        io.write(json.dumps(proof_document(proof, fixes, findings), separators=(",", ":")).encode() + b"\n")
    else:
        io.write("".join(f"{line}\n" for line in proof_lines(proof, fixes, findings, color=io.color)).encode())
    if proof.refused:
        return REFUSED
    return OPEN if proof.open else CLOSED
