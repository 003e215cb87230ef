"""The help text, made from the option records."""

from __future__ import annotations

from .messages import COMPATIBLE, version
from .options import COLUMNS, COMMANDS, OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Option
    from .protocols import Protocol

__all__ = ["protocol_usage", "usage"]

_WIDTH = 30


def usage(program: str) -> str:
    """Return the whole text; `program` is the name that the command was called by."""
    lines = [
        f"conntrack v{COMPATIBLE} (conntap {version()}): show and change the kernel's connection tracking table",
        f"Usage: {program} [commands] [options]",
        "",
        "Commands, with the table they act on (conntrack unless said; expect, dying and unconfirmed",
        "are the others, the last two for -L only):",
        *(_line(command, "[TABLE]" if command.letter not in "hV" else "") for command in COMMANDS),
        _row("  -R, --load-file FILE", "run the commands in FILE, one a line; - is standard input (first word only)"),
        "",
        "Options; letters behind say the commands that take them, small ones those on expectations:",
        *(_line(option, option.metavar, _takers(option)) for option in OPTIONS),
        "",
        "Options of a protocol come behind -p NAME: conntrack -h -p NAME lists them.",
        "Exit status: 0 done; 1 the kernel refused, or nothing matched -D, -U or -G; 2 wrong usage.",
    ]
    return "\n".join(lines) + "\n"


def protocol_usage(protocol: Protocol | None, number: int) -> str:
    """Return the part for one protocol."""
    name = protocol.name if protocol else _name(number)
    options = protocol.options if protocol else ()
    lines = [f"\nProto `{name}' help:", *(_line(option, option.metavar, _takers(option)) for option in options)]
    return "\n".join(lines) + "\n"


def _line(option: Option, metavar: str, takers: str = "") -> str:
    short = f"-{option.letter}, " if option.letter and (option.letter.isalpha()) and option.letter != "M" else "    "
    words = f"  {short}--{option.longs[-1] if option.letter in ('s', 'd') else option.longs[0]} {metavar}".rstrip()
    return _row(words, f"{option.help}{f' [{takers}]' if takers else ''}")


def _row(words: str, text: str) -> str:
    return f"{words:<{_WIDTH}} {text}" if len(words) < _WIDTH else f"{words}\n{'':<{_WIDTH}} {text}"


def _takers(option: Option) -> str:
    marks = zip(COLUMNS, option.commands, strict=True)
    return "".join(name[0].lower() if len(name) > 1 else name for name, mark in marks if mark != "." and name != "h")


def _name(number: int) -> str:
    """Return the name of a protocol without options of its own, as /etc/protocols has it."""
    try:
        with open("/etc/protocols", encoding="utf-8", errors="replace") as file:
            for line in file:
                parts = line.partition("#")[0].split()
                if len(parts) > 1 and parts[1] == str(number):
                    return parts[0]
    except OSError:
        pass
    return "unknown"
