"""Every text that the command prints beside its data, and the two ways in which it ends early.

The wording is that of conntrack-tools 1.4.9, because scripts compare it; only the banner names conntap.
"""

from __future__ import annotations

__all__ = ["COMPATIBLE", "Stop", "banner", "describe", "failure", "usage_fault", "version"]

COMPATIBLE = "1.4.9"
"""The release of conntrack-tools whose command line this is."""

TRY_HELP = "Try `conntrack -h' or 'conntrack --help' for more information.\n"

_EPERM, _ENOENT, _ENOMEM, _EEXIST, _EINVAL, _ETIME, _EAFNOSUPPORT, _ENOTSUPP = 1, 2, 12, 17, 22, 62, 97, 524

_PRIVILEGE = "sorry, you must be root or get CAP_NET_ADMIN capability to do this"

# errno -> (command and table, text); a command is its letter, with "e" behind it for expectations.
_ERRORS: tuple[tuple[int, tuple[str, ...], str], ...] = (
    (_ENOTSUPP, ("L",), "function not implemented"),
    (_EINVAL, ("L", "I", "U", "D", "G", "F", "E", "C", "Le", "Ie", "De", "Ge", "Fe", "Ee"), "invalid parameters"),
    (_EEXIST, ("I",), "Such conntrack exists, try -U to update"),
    (_ENOENT, ("I", "G", "D", "A"), "such conntrack doesn't exist"),
    (_ENOMEM, ("I", "G", "A"), "not enough memory"),
    (_EAFNOSUPPORT, ("G",), "protocol not supported"),
    (_ETIME, ("I", "A"), "conntrack has expired"),
    (_ENOENT, ("Ie",), "master conntrack not found"),
)


class Stop(Exception):
    """End the program with `status` after printing `text` (banner and, for wrong usage, the hint included)."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


def version() -> str:
    """Return conntap's version as the extension module was built with it."""
    from conntap import _core

    return _core.__version__


def banner() -> str:
    """Return the text that begins every message, with its final blank."""
    return f"conntrack v{COMPATIBLE} (conntap {version()}): "


def usage_fault(text: str) -> Stop:
    """Return the end for wrong usage: exit status 2 and the line that points to the help."""
    return Stop(f"{banner()}{text}\n{TRY_HELP}", 2)


def failure(text: str) -> Stop:
    """Return the end for everything else that went wrong: exit status 1."""
    return Stop(f"{banner()}{text}\n", 1)


def describe(command: str, number: int) -> str:
    """Return the words for kernel error `number` of `command` (a letter, "e" behind it for expectations)."""
    if number == _EPERM:
        return _PRIVILEGE
    for known, commands, text in _ERRORS:
        if known == number and command in commands:
            return text
    from os import strerror

    return strerror(number)
