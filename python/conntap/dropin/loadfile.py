"""`-R FILE`: commands from a file, all of them parsed before the first one runs."""

from __future__ import annotations

from .messages import usage_fault
from .options import column
from .output import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .output import Output
    from .plan import Plan

__all__ = ["load", "split"]

# Limits of the original, kept so that a file that works here works there.
_MOST_WORDS = 254
_LONGEST_WORD = 1023
_ALLOWED = ("I", "A", "U", "D", "F")


def load(program: str, path: str, output: Output) -> int:
    """Parse every line of the file at `path` ("-": standard input), then run them in order; return the exit status.

    Raises:
        Stop: a line is wrong, and nothing was done; or the kernel refused one, and those before it stay done.
    """
    plans = [_plan(program, words) for words in map(split, _lines(path)) if words]
    _share_output(plans)
    from .commands import carry_out

    for plan in plans:
        carry_out(plan, output, from_file=True)
    return 0


def _share_output(plans: list[Plan]) -> None:
    """Let -o of any line act on all of them, as in the original; nothing else of a line acts on another one."""
    from .words import join_output

    output = 0
    for plan in plans:
        output = join_output(output, plan.output)
    label_map = next((plan.label_map for plan in plans if plan.label_map), b"")
    for plan in plans:
        plan.output = output
        plan.label_map = label_map


def split(line: str) -> list[str]:
    """Split a line into words: blanks separate, double quotes group, a backslash inside quotes takes what follows.

    Raises:
        Stop: too many words, or a word that is too long.
    """
    if '"' not in line:
        return _within_limits([word for word in line.replace("\t", " ").replace("\n", " ").split(" ") if word])
    words: list[str] = []
    word: list[str] = []
    quoted = escaped = inside = False
    for character in line:
        if escaped:
            word.append(character)
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
            inside = True
        elif character in " \t\n" and not quoted:
            if inside:
                words.append("".join(word))
                word.clear()
            inside = False
        else:
            word.append(character)
            inside = True
    if inside:
        words.append("".join(word))
    return _within_limits(words)


def _within_limits(words: list[str]) -> list[str]:
    if any(len(word) > _LONGEST_WORD for word in words):
        raise usage_fault("Parameter too long!")
    if len(words) > _MOST_WORDS:
        raise usage_fault("too many arguments")
    return words


def _lines(path: str) -> Iterator[str]:
    try:
        # Closed before the first command runs: `-R -` may stand in a pipe with -L.
        with open(0 if path == "-" else path, encoding="utf-8", errors="surrogateescape", closefd=path != "-") as file:
            lines = file.readlines()
    except OSError as error:
        raise usage_fault(f"Failed to open file {path} for reading") from error
    for line in lines:
        text = line.lstrip(" \t")
        if text.strip("\n") and not text.startswith("#"):
            yield text


def _plan(program: str, words: list[str]) -> Plan:
    from .parse import parse

    plan = parse([program, *words], warn)
    where = column(plan.command, plan.table)
    if where not in _ALLOWED:
        # The original calls creating an expectation -C, and a line without a command "unknown".
        letter = "C" if where == "Ie" else plan.command
        name = f"-{letter}{' expect' if plan.table == 'expect' else ''}" if letter else "unknown"
        raise usage_fault(f"Cannot use command `{name}' with --load-file")
    return plan
