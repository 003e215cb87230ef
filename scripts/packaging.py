"""Write the shell completions and man pages from the commands' own records, and what the wheel carries for systemd.

They lie in `packaging/wheel/data/share` as below a prefix: the wheel installs them so, a distribution may copy them.

`--check` writes nothing and fails when a file is not what it would write. `make gen` and `make lint` call it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

import conntap
import dropin_pages
from conntap.cli.main import cli
from conntap.config import example
from roff import escape, head, see_also, tagged

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SHARE = ROOT / "packaging/wheel/data/share"
PROGRAM = "conntap"
COMPLETE_VARIABLE = "_CONNTAP_COMPLETE"

#: Folders of `packaging` that go into the wheel below share/conntap.
SYSTEM = ("etc/conntap", "modules-load.d", "sysctl.d", "systemd", "sysusers.d", "tmpfiles.d")

COMPLETIONS = {
    BashComplete: f"bash-completion/completions/{PROGRAM}",
    ZshComplete: f"zsh/site-functions/_{PROGRAM}",
    FishComplete: f"fish/vendor_completions.d/{PROGRAM}.fish",
}

EXIT_STATUS = {
    "0": "done; a stream that was ended with ctrl+c too",
    "1": "it failed; the message says what was tried, why it failed and what to do",
    "2": "wrong usage: an option, a filter, an address or a file",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    stale: list[str] = []
    for path, text in files():
        target = SHARE / path
        if target.exists() and target.read_text() == text:
            continue
        if check:
            stale.append(path)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            print(f"wrote {target.relative_to(ROOT)}")
    wanted = {path for path, _ in files()}
    for extra in sorted(SHARE.glob("man/man1/*.1")):
        if f"man/man1/{extra.name}" not in wanted:
            stale.append(f"man/man1/{extra.name} (no such command)") if check else extra.unlink()
    if stale:
        print("not fresh, run `make gen`:", *stale, sep="\n  ", file=sys.stderr)
    return 1 if stale else 0


def system_files() -> Iterator[tuple[str, str]]:
    """What a distribution puts elsewhere (packaging/README.md), as the wheel carries it; each file is said once."""
    packaging = ROOT / "packaging"
    for folder in SYSTEM:
        for path in sorted((packaging / folder).iterdir()):
            yield f"{PROGRAM}/{folder}/{path.name}", path.read_text()
    yield f"{PROGRAM}/etc/conntap/log.toml", example()


def files() -> Iterator[tuple[str, str]]:
    """Every file with its text, paths relative to `share`."""
    for shell, path in COMPLETIONS.items():
        complete = shell(cli, {}, PROGRAM, COMPLETE_VARIABLE)
        script = shell.source_template % complete.source_vars()
        yield path, script.strip() + "\n"
    yield from dropin_pages.files(conntap.__version__)
    yield from system_files()
    root = click.Context(cli, info_name=PROGRAM)
    yield f"man/man1/{PROGRAM}.1", page(root, PROGRAM)
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        if command is not None and not command.hidden:
            title = f"{PROGRAM}-{name}"
            yield f"man/man1/{title}.1", page(click.Context(command, info_name=name, parent=root), title)


def page(context: click.Context, title: str) -> str:
    """One command as a man page."""
    command = context.command
    lines = [
        *head(title, 1, conntap.__version__),
        f"{escape(title)} \\- {escape(command.get_short_help_str(limit=200).rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {escape(context.command_path)}",
        escape(" ".join(command.collect_usage_pieces(context))),
    ]
    if command.help:
        lines += [".SH DESCRIPTION", *paragraphs(command.help)]
    options = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    if options:
        lines.append(".SH OPTIONS")
        for names, text in options:
            lines += tagged(names, text)
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                lines += tagged(name, child.get_short_help_str(limit=200))
    if command.epilog:
        lines += [".SH EXAMPLES", *paragraphs(command.epilog)]
    lines.append(".SH EXIT STATUS")
    for status, text in EXIT_STATUS.items():
        lines += tagged(status, text)
    others = [("conntrack", 8), ("nft", 8)] if title == PROGRAM else [(PROGRAM, 1), ("conntrack", 8)]
    return "\n".join([*lines, *see_also(*others)]) + "\n"


def paragraphs(text: str) -> Iterator[str]:
    """Click's text as roff: blank lines part paragraphs, `\\b` keeps one as it stands."""
    for index, block in enumerate(text.strip().split("\n\n")):
        lines = [line for line in block.splitlines() if line.strip()]
        verbatim = bool(lines) and lines[0].strip() == "\b"
        if index:
            yield ".PP"
        if verbatim:
            yield from [".nf", *(escape(line) for line in lines[1:]), ".fi"]
        else:
            yield from (escape(line.strip()) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
