"""A policy out of TOML: checked as a whole, every fault with its line, contradictions with both."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, cast

from conntap.config.faults import ConfigError, Fault
from conntap.config.lines import lines_of
from conntap.config.values import WrongValueError, close_to, duration, flag, list_of, of_type, one_of, text
from conntap.errors import UsageError
from conntap.guard.policy import Actions, Denied, Network, Policy, Said, Section
from conntap.helpers.registry import ALIASES, HELPERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.config.lines import Path

__all__ = ["ACTIONS", "EXAMPLE", "read_policy", "read_policy_text"]

ACTIONS: Final = ("log", "alert", "delete", "delete-flow", "block")
TARGETS: Final = ("jsonl:", "syslog:", "http:", "https:")
SPAN: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
TABLES: Final = ("default", "helper", "deny", "actions")

EXAMPLE: Final = """\
# What conntap guard allows. Without this file the same holds as with it.

[default]                                   # for every helper that has no section of its own
sources = ["peer"]                          # who may use it: the other end of that connection; "any", networks
destinations = ["client", "server"]         # whom it leads to: an end of that connection; networks
ports = ["1024-65535"]
per_master = 64                             # how many one host may have open at once
# masters = ["10.0.0.0/8"]                  # who may open the announcing connection
# servers = ["198.51.100.0/24"]             # to whom
# nat = ["203.0.113.1"]                     # as whom the master is seen outside; "none": it is not translated

# [[helper]]                                # one for each helper that needs rules of its own
# name = "irc"
# allow = false

# [deny]                                    # what no section may allow
# ports = ["3306", "5432"]

[actions]
on_deny = ["log", "delete", "delete-flow"]  # also "alert", "block"
# alert = ["syslog://", "jsonl:/var/log/conntap/alerts.jsonl", "https://alerts.example/hook"]
# command = ["/usr/local/sbin/on-alert"]
# block = "10m"
"""


def network(value: object) -> Network:
    """`10.0.0.0/8`, or one address."""
    said = of_type(value, str, 'a network in quotes: "10.0.0.0/8"')
    try:
        return ipaddress.ip_network(said)
    except ValueError as error:
        raise WrongValueError(f"'{said}' is no network: {error}") from error


def word_or_network(*words: str) -> Callable[[object], Network | str]:
    """One of the words, or a network."""

    def read(value: object) -> Network | str:
        if value in words:
            return str(value)
        try:
            return network(value)
        except WrongValueError as error:
            raise WrongValueError(f"{error}; or say {', '.join(words)}") from error

    return read


def span(value: object) -> tuple[int, int]:
    """`"1024-65535"`, `"8080"`, `8080`."""
    said = str(value) if type(value) is int else of_type(value, str, 'ports: "1024-65535", 8080')
    found = SPAN.fullmatch(said)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not found or high > 65_535:
        raise WrongValueError(f"'{said}' is no range of ports: say 1024-65535")
    if low > high:
        raise WrongValueError(f"'{said}' holds no port: nothing can fulfil it")
    return low, high


def count(value: object) -> int:
    """At least one."""
    found = of_type(value, int, "a number")
    if found < 1:
        raise WrongValueError("must be at least 1: to allow nothing say allow = false")
    return found


def helper_name(value: object) -> str:
    """A helper, as the kernel calls it."""
    said = text(value)
    if said.lower() in ALIASES and len(ALIASES[said.lower()]) == 1:
        return ALIASES[said.lower()][0]
    return said


def target(value: object) -> str:
    """Where alerts go."""
    said = text(value)
    if not said.startswith(TARGETS):
        raise WrongValueError(f"'{said}' is no target of alerts: begin with {', '.join(TARGETS)}")
    if said.startswith("jsonl:") and said != "jsonl:-" and not said.startswith("jsonl:/"):
        raise WrongValueError(f"'{said}' is no absolute path: a service starts in /, so say jsonl:/…")
    return said


RULES: Final[dict[str, Callable[[object], Any]]] = {
    "allow": flag,
    "masters": list_of(network, what="networks"),
    "servers": list_of(network, what="networks"),
    "nat": list_of(word_or_network("none"), what="networks"),
    "sources": list_of(word_or_network("peer", "any"), what='"peer", "any" or networks'),
    "destinations": list_of(word_or_network("client", "server"), what='"client", "server" or networks'),
    "ports": list_of(span, what="ports"),
    "per_master": count,
}
KEYS: Final[dict[str, dict[str, Callable[[object], Any]]]] = {
    "default": {**RULES, "helpers": list_of(helper_name, what="helpers")},
    "helper": {**RULES, "name": helper_name},
    "deny": {
        "helpers": list_of(helper_name, what="helpers"),
        "masters": RULES["masters"],
        "destinations": list_of(network, what="networks"),
        "ports": RULES["ports"],
    },
    "actions": {
        "on_deny": list_of(one_of(*ACTIONS), what="actions"),
        "alert": list_of(target, what="targets"),
        "command": list_of(text, what="words"),
        "block": duration(1.0, 30 * 86400.0),
        "at_once": count,
        "timeout": duration(0.1, 600.0),
    },
}


def read_policy(path: str | os.PathLike[str]) -> Policy:
    """Read and check a policy.

    Raises:
        ConfigError: with all that is wrong, in order of lines.
        UsageError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
        told = content.decode()
    except OSError as error:
        raise UsageError(f"{os.fspath(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{os.fspath(path)}: this is no text: {error.reason} at byte {error.start}") from error
    return read_policy_text(told, name=os.path.basename(os.fspath(path)))


def read_policy_text(told: str, *, name: str = "policy") -> Policy:
    """As `read_policy`, of text."""
    try:
        data: dict[str, Any] = tomllib.loads(told)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = re.search(r"\(at line (\d+), column (\d+)\)", message)
        place = f"{name}:{found[1]}" if found else name
        raise ConfigError([Fault(place, "", message[: found.start()].strip() if found else message)]) from error
    return Reader(data, lines_of(told), name).policy()


class Reader:
    """Reads all it can; what is wrong becomes a fault, and its default holds."""

    def __init__(self, data: dict[str, Any], lines: dict[Path, int], name: str) -> None:
        self.data = data
        self.lines = lines
        self.name = name
        self.faults: list[tuple[int, Fault]] = []

    def line(self, path: Path) -> int:
        """Of the path, or of what it is in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def place(self, path: Path) -> str:
        return f"{self.name}:{self.line(path)}"

    def fault(self, path: Path, key: str, message: str) -> None:
        self.faults.append((self.line(path), Fault(self.place(path), key, message)))

    def policy(self) -> Policy:
        """The policy.

        Raises:
            ConfigError: something is wrong.
        """
        for name in self.data:
            if name not in TABLES:
                self.fault(
                    (name,), name, "there is no such table" + (close_to(name, TABLES) or f": say {', '.join(TABLES)}")
                )
        default = self.table(("default",), "default")
        denied = self.table(("deny",), "deny")
        actions = self.actions(self.table(("actions",), "actions"))
        known = default.pop("helpers", Said(tuple(HELPERS)))
        for at, one in enumerate(known.value):
            if one not in HELPERS and "default" in self.data:
                self.fault(("default", "helpers", at), "default.helpers", self.no_helper(one))
        settings: dict[str, Any] = default
        base = Section(place=self.place(("default",)) if "default" in self.data else "built-in default", **settings)
        sections = self.sections(base)
        policy = Policy(
            name=self.name, default=base, denied=Denied(**denied), sections=sections, actions=actions, helpers=known
        )
        self.contradictions(policy, "deny" in self.data)
        if self.faults:
            raise ConfigError([fault for _, fault in sorted(self.faults, key=lambda one: one[0])])
        return policy

    def no_helper(self, name: str) -> str:
        return f"there is no helper '{name}'" + (close_to(name, HELPERS) or f": say {', '.join(HELPERS)}")

    def table(self, path: Path, table: str) -> dict[str, Said[Any]]:
        """One table's keys with their meaning and place."""
        found: Any = self.data
        for step in path:
            found = cast("dict[object, Any]", found).get(step, {}) if isinstance(found, dict) else found[step]
        if type(found) is not dict:
            head = f"[[{table}]]" if table == "helper" else f"[{table}]"
            self.fault(path, table, f"is a table: write {head}, and its keys on the lines below")
            return {}
        values: dict[str, Said[Any]] = {}
        for name, value in cast("dict[str, object]", found).items():
            read = KEYS[table].get(name)
            at: Path = (*path, name)
            if read is None:
                self.fault(
                    at,
                    f"{table}.{name}",
                    "there is no such key" + (close_to(name, KEYS[table]) or f": say {', '.join(KEYS[table])}"),
                )
                continue
            try:
                values[name] = Said(read(value), self.place(at))
            except UsageError as error:
                deeper: Path = getattr(error, "path", ())
                self.fault((*at, *deeper), f"{table}.{name}", str(error))
        return values

    def sections(self, base: Section) -> dict[str, Section]:
        """The helpers' own sections. What one leaves out the default says."""
        told: Any = self.data.get("helper", [])
        if type(told) is not list:
            self.fault(("helper",), "helper", "is a list of tables: write [[helper]]")
            return {}
        found: dict[str, Section] = {}
        for index in range(len(cast("list[object]", told))):
            path: Path = ("helper", index)
            values = self.table(path, "helper")
            name = values.pop("name", None)
            if name is None:
                if (*path, "name") not in self.lines:
                    self.fault(path, "helper.name", 'is missing: say whose section this is, name = "ftp"')
                continue
            if name.value in found:
                first = found[name.value].place
                self.fault(path, "helper.name", f"'{name.value}' has a section already, at {first}: one is enough")
                continue
            inherited = {key: getattr(base, key) for key in RULES if key not in values}
            # To be silent on `allow` in a section of one's own means yes: it would not be written otherwise.
            inherited.pop("allow", None)
            found[name.value] = Section(name=name.value, place=self.place(path), **inherited, **values)
        return found

    def actions(self, values: dict[str, Said[Any]]) -> Actions:
        names = {"block": "block_seconds", "timeout": "timeout_seconds"}
        made = Actions(**{names.get(name, name): said.value for name, said in values.items()})
        if "alert" in made.on_deny and not made.alert and not made.command:
            self.fault(
                ("actions", "on_deny"),
                "actions.on_deny",
                'says "alert", and neither alert = [ … ] nor command = [ … ] where to',
            )
        if "alert" not in made.on_deny and (made.alert or made.command):
            key = "alert" if made.alert else "command"
            self.fault(("actions", key), f"actions.{key}", 'is never used: on_deny does not say "alert"')
        if "block" in values and "block" not in made.on_deny:
            self.fault(("actions", "block"), "actions.block", 'is never used: on_deny does not say "block"')
        return made

    def contradictions(self, policy: Policy, denies: bool) -> None:
        """Lines that cannot both be meant."""
        denied = policy.denied
        for index, section in enumerate(policy.sections.values()):
            path: Path = ("helper", index)
            if section.name in denied.helpers.value and section.allow.value:
                self.fault(
                    path,
                    "helper.name",
                    f"'{section.name}' is allowed something, and denied always at {denied.helpers.place}",
                )
            if not section.allow.value:
                keys = [key for key in RULES if key != "allow" and (*path, key) in self.lines]
                if keys:
                    self.fault(
                        (*path, keys[0]), f"helper.{keys[0]}",
                        f"is never asked: {section.allow.place} says that {section.name} may announce nothing",
                    )  # fmt: skip
        if not denies:
            return
        for path, section in (
            (("default",), policy.default),
            *((("helper", index), one) for index, one in enumerate(policy.sections.values())),
        ):
            table = path[0]
            if section.ports.place != "built-in default" and all(
                any(low <= one and two <= high for low, high in denied.ports.value) for one, two in section.ports.value
            ):
                self.fault(
                    (*path, "ports"), f"{table}.ports", f"allows nothing: all of it is denied at {denied.ports.place}"
                )
            for key, nets in (("masters", denied.masters), ("destinations", denied.destinations)):
                said: Said[tuple[Network | str, ...]] = getattr(section, key)
                if (
                    said.value
                    and said.place != "built-in default"
                    and all(inside(one, nets.value) for one in said.value)
                ):
                    self.fault((*path, key), f"{table}.{key}", f"allows nothing: all of it is denied at {nets.place}")


def inside(one: Network | str, others: tuple[Network, ...]) -> bool:
    """Is all of a network in one of the others?"""
    return not isinstance(one, str) and any(
        one.version == other.version and one.subnet_of(other)  # pyright: ignore
        for other in others
    )
