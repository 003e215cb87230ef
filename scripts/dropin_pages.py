"""Completions and the man page of `conntap-conntrack`, from the option records that its parser uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.dropin import options, protocols, words
from roff import escape, head, see_also, tagged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.dropin.options import Option

PROGRAM = "conntap-conntrack"

# What may follow an option that takes one of a few words; several may be joined by commas where the original allows it.
VALUES = {
    "protonum": [protocol.name for protocol in protocols.PROTOCOLS],
    "status": [*(word for word, _ in words.STATUS), "UNREPLIED"],
    "event-mask": [word for word, _ in words.EVENTS],
    "output": [word for word, _ in words.OUTPUT],
    "family": ["ipv4", "ipv6"],
    "state": sorted({*protocols.TCP_STATES, *protocols.SCTP_STATES, *protocols.DCCP_STATES}),
    "role": ["client", "server"],
}
FILES = ("labelmap", "load-file")

DESCRIPTION = """\
Shows and changes the kernel's connection tracking table with the command line, the output, the messages and the exit
status of conntrack(8) 1.4.9. Called through a link named conntrack it is that command.
docs/conntrack.md lists every option: the same, or different and why."""

EXIT_STATUS = {
    "0": "done",
    "1": "the kernel refused, or nothing matched -D, -U or -G",
    "2": "wrong usage",
}


def files(version: str) -> Iterator[tuple[str, str]]:
    """Every file with its text, paths relative to `share`."""
    yield f"bash-completion/completions/{PROGRAM}", bash()
    yield f"zsh/site-functions/_{PROGRAM}", zsh()
    yield f"fish/vendor_completions.d/{PROGRAM}.fish", fish()
    yield f"man/man8/{PROGRAM}.8", page(version)


def records() -> list[Option]:
    """Every option once: commands, options, then those of protocols."""
    of_protocols = {option.name: option for protocol in protocols.PROTOCOLS for option in protocol.options}
    return [*options.COMMANDS, *options.OPTIONS, *of_protocols.values()]


def spellings(option: Option) -> list[str]:
    # Letters such as `[` stand for options that have no letter on the command line.
    short = [f"-{option.letter}"] if len(option.letter) == 1 and option.letter.isalpha() else []
    return [*short, *(f"--{long}" for long in option.longs)]


def values(option: Option) -> list[str]:
    if option.action == "command" and option.long_argument != "none":
        return list(options.TABLES)
    return VALUES.get(option.name, [])


def bash() -> str:
    cases = [
        f"    {'|'.join(spellings(option))}) words='{' '.join(values(option))}' ;;"
        for option in records()
        if values(option)
    ]
    every = " ".join(spelling for option in records() for spelling in spellings(option) if spelling.startswith("--"))
    return "\n".join([
        f"# bash completion of {PROGRAM}; made by scripts/packaging.py",
        "_conntap_conntrack() {",
        '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words head=""',
        f"  local every='{every} -R --load-file'",
        '  [[ "$current" == -* ]] && previous=""',
        '  case "$previous" in',
        *cases,
        "    -M|--labelmap|-R|--load-file)",
        '      mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;',
        '    *) words="$every" ;;',
        "  esac",
        "  # Lists are joined by commas: complete the last word only.",
        '  if [[ "$current" == *,* ]]; then head="${current%,*},"; current="${current##*,}"; fi',
        '  mapfile -t COMPREPLY < <(compgen -P "$head" -W "$words" -- "$current")',
        "}",
        f"complete -F _conntap_conntrack {PROGRAM}",
        "",
    ])  # fmt: skip


def zsh() -> str:
    lines = [f"#compdef {PROGRAM}", "# made by scripts/packaging.py", "_arguments -s \\"]
    for option in records():
        text = option.help.replace("'", "'\\''").replace("[", "(").replace("]", ")").replace(":", " -")
        metavar = (option.metavar or "table").translate(str.maketrans("", "", "[]:'"))
        action = f"({' '.join(values(option))})" if values(option) else "_files" if option.name in FILES else ""
        for spelling in spellings(option):
            takes = option.long_argument if spelling.startswith("--") else option.short_argument
            colons = {"none": "", "required": ":", "optional": "::"}[
                "optional" if values(option) and takes == "none" else takes
            ]
            tail = f"{colons}{metavar}:{action}" if colons else ""
            lines.append(f"  '{spelling}[{text}]{tail}' \\")
    lines.append("  '-R[run the commands in a file]:file:_files'")
    return "\n".join(lines) + "\n"


def fish() -> str:
    lines = [f"# fish completion of {PROGRAM}; made by scripts/packaging.py", f"complete -c {PROGRAM} -f"]
    for option in records():
        shorts = [f"-s {spelling[1:]}" for spelling in spellings(option) if not spelling.startswith("--")]
        longs = [f"-l {long}" for long in option.longs]
        takes = [f"-x -a '{' '.join(values(option))}'"] if values(option) else []
        if not takes and option.long_argument == "required":
            takes = ["-r -F" if option.name in FILES else "-x"]
        text = option.help.replace("'", "\\'")
        lines.append(" ".join([f"complete -c {PROGRAM}", *shorts, *longs, *takes, f"-d '{text}'"]))
    lines.append(f"complete -c {PROGRAM} -s R -l load-file -r -F -d 'run the commands in a file'")
    return "\n".join(lines) + "\n"


def page(version: str) -> str:
    lines = [
        *head(PROGRAM, 8, version),
        f"{escape(PROGRAM)} \\- {escape('the conntrack command, answered by conntap')}",
        ".SH SYNOPSIS",
        f".B {escape(PROGRAM)}",
        escape("COMMAND [TABLE] [OPTION]..."),
        ".SH DESCRIPTION",
        *(escape(line) for line in DESCRIPTION.splitlines()),
        ".SH COMMANDS",
    ]
    for command in options.COMMANDS:
        lines += tagged(", ".join(spellings(command)), command.help)
    lines += tagged("-R, --load-file FILE", "run the commands in FILE, one a line; - is standard input")
    lines += [".SH TABLES", escape(", ".join(options.TABLES))]
    lines.append(".SH OPTIONS")
    for option in options.OPTIONS:
        lines += tagged(f"{', '.join(spellings(option))} {option.metavar}".rstrip(), option.help)
    for protocol in protocols.PROTOCOLS:
        lines.append(f'.SS "With \\-p {protocol.name}"')
        for option in protocol.options:
            lines += tagged(f"{', '.join(spellings(option))} {option.metavar}".rstrip(), option.help)
    lines.append(".SH EXIT STATUS")
    for status, text in EXIT_STATUS.items():
        lines += tagged(status, text)
    return "\n".join([*lines, *see_also(("conntap", 1), ("nft", 8))]) + "\n"
