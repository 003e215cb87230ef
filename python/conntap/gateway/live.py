"""A running gateway: what its programs and /proc tell. Nothing is ever changed: programs are only asked to list.

nft, ip and iptables-save are run inside the namespace by a small child that enters it; settings are read as a process
in it reads them. `iptables-save` is asked only where it is installed. Where it is the variant that writes nft rules its
tables are in nft's listing, too: `rulesets.py` takes each rule once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from conntap import _core
from conntap.errors import ConntapError
from conntap.gateway.rulesets import HIDDEN
from conntap.gateway.state import Gateway
from conntap.netns import NetNs, path_of
from conntap.programs import find

__all__ = ["read_live"]

#: Text → the command that gives it. All of them only list.
COMMANDS: Final = {
    "nft.json": ("nft", "-j", "list", "ruleset"),
    "iptables-save": ("iptables-save",),
    "ip6tables-save": ("ip6tables-save",),
    "addresses.json": ("ip", "-j", "addr"),
    "routes.json": ("ip", "-j", "-4", "route", "show", "table", "all"),
    "routes6.json": ("ip", "-j", "-6", "route", "show", "table", "all"),
}
PACKAGES: Final = {"nft": "nftables", "ip": "iproute2"}

#: Where the kernel names the tables of iptables-legacy, and who lists them.
LEGACY: Final = {
    "iptables-save": ("/proc/net/ip_tables_names", ("iptables-legacy-save",)),
    "ip6tables-save": ("/proc/net/ip6_tables_names", ("ip6tables-legacy-save",)),
}

FILES: Final = {
    "modules": "/proc/modules",
    "uname": "/proc/sys/kernel/osrelease",
    "proc/net/netlink": "/proc/net/netlink",
    "proc/net/stat/nf_conntrack": "/proc/net/stat/nf_conntrack",
    "proc/net/netfilter/nf_log": "/proc/net/netfilter/nf_log",
}
#: Module parameters of these are read: sysfs shows them whatever the namespace.
MODULES: Final = ("nf_conntrack*", "nf_nat*", "nf_log*")

#: What is read of an interface's and of all interfaces' settings.
SETTINGS: Final = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding")
PATIENCE_SECONDS: Final = 30.0

#: The child that enters a namespace and becomes the program: a namespace belongs to a thread, and this one is its own.
ENTER: Final = (
    "import ctypes,os,sys;"
    "ctypes.CDLL(None).setns(os.open(sys.argv[1],0),0x40000000) and sys.exit(126);"
    "os.execv(sys.argv[2],sys.argv[2:])"
)


def read_live(netns: NetNs = None) -> Gateway:
    """Read all that can be had of a gateway; what cannot is in `missing`, with its reason.

    Raises:
        NotFoundError: no such namespace.
    """
    path = path_of(netns)
    texts: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name, command in COMMANDS.items():
        keep(name, ask(command, path), texts, missing)
    for name, (names, command) in LEGACY.items():
        if name in texts and read(names, path)[0].strip():
            texts[name] = with_legacy(texts[name], ask(command, path)[0])
    for name, file in FILES.items():
        keep(name, read(file, path), texts, missing)
    if "modules" in missing and not os.path.exists("/proc/modules"):
        missing["modules"] = "this kernel has no loadable modules; what it has is built in"
    texts["parameters"] = parameters()
    texts["sysctl"] = settings(path)
    if "nf_conntrack_max" not in texts["sysctl"]:
        missing["sysctl"] = "net.netfilter is not there: nf_conntrack is not loaded, or nothing uses it here"
    return Gateway(texts, missing)


def with_legacy(text: str, legacy: str) -> str:
    """What iptables-save prints where the kernel has tables of iptables-legacy, too.

    They are taken where it prints no others; else that they are there is said in the text, and the audit cannot tell.
    """
    if "(nf_tables)" not in text and "\n*" in f"\n{text}":
        return text  # it is the legacy one
    return legacy if legacy and "\n*" not in f"\n{text}" else f"# Warning: {HIDDEN}\n{text}"


def keep(name: str, had: tuple[str, str], texts: dict[str, str], missing: dict[str, str]) -> None:
    """Put a text where it belongs: had, or why not."""
    text, why = had
    if why:
        missing[name] = why
    else:
        texts[name] = text


def ask(command: tuple[str, ...], path: str | None) -> tuple[str, str]:
    """A program's output, or why there is none."""
    program = find(command[0])
    if program is None:
        return "", f"not installed: '{command[0]}' (package {PACKAGES.get(command[0], 'iptables')})"
    words = [program, *command[1:]]
    if path is not None:
        words = [sys.executable, "-I", "-S", "-c", ENTER, path, *words]
    try:
        done = subprocess.run(
            words, capture_output=True, timeout=PATIENCE_SECONDS, env={**os.environ, "LC_ALL": "C"}, check=False
        )
    except subprocess.TimeoutExpired:
        return "", f"'{' '.join(command)}' did not end within {PATIENCE_SECONDS:g} s"
    except OSError as error:
        return "", f"'{command[0]}' could not be run: {error.strerror}"
    if path is not None and done.returncode == 126 and not done.stdout:
        return "", "the namespace may not be entered: run it with sudo"
    complaint = " ".join(done.stderr.decode(errors="replace").split())[:200]
    if done.returncode != 0:
        return "", reason(command, complaint or f"exit status {done.returncode}")
    return done.stdout.decode(errors="replace"), ""


def reason(command: tuple[str, ...], complaint: str) -> str:
    """Why a program failed, and what to do."""
    said = f"'{' '.join(command)}': {complaint}"
    if "Operation not permitted" in complaint or "Permission denied" in complaint or "you must be root" in complaint:
        return f"{said}; it needs CAP_NET_ADMIN: run it with sudo"
    if "JSON support not compiled" in complaint or "invalid option" in complaint:
        return f"{said}; this nft cannot write JSON: version 0.9 or later with JSON is needed"
    return said


def read(file: str, path: str | None) -> tuple[str, str]:
    """A file's text as in the namespace, or why not."""
    try:
        return _core.read_in_namespace(file, path), ""
    except (ConntapError, OSError) as error:
        return "", f"{file}: {error.strerror or error}" if isinstance(error, OSError) else str(error)


def parameters() -> str:
    """Lines `module.parameter = value`; a parameter that may not be read is left out, as sysfs does with some."""
    lines: list[str] = []
    for pattern in MODULES:
        for file in sorted(Path("/sys/module").glob(f"{pattern}/parameters/*")):
            try:
                value = file.read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                continue
            lines.append(f"{file.parent.parent.name}.{file.name} = {value}")
    return "".join(f"{line}\n" for line in lines)


def settings(path: str | None) -> str:
    """Lines `name = value` of connection tracking, forwarding and the reverse-path check, as in the namespace."""
    names = [*SETTINGS]
    if (first := read("/proc/net/dev", path))[0]:
        interfaces = [line.partition(":")[0].strip() for line in first[0].splitlines()[2:]]
        for one in ["all", "default", *interfaces]:
            names.append(f"net.ipv4.conf.{one.replace('.', '/')}.rp_filter")
            names.append(f"net.ipv6.conf.{one.replace('.', '/')}.forwarding")
    netfilter = Path("/proc/sys/net/netfilter")
    try:
        # The names are those of our own namespace; each value is read in the other one.
        names += [
            f"net.netfilter.{'.'.join(file.relative_to(netfilter).parts)}"
            for file in sorted(netfilter.rglob("*"))
            if file.is_file()
        ]
    except OSError:
        pass
    lines: list[str] = []
    for name in dict.fromkeys(names):
        # Dots inside an interface's name are written as slashes in a sysctl's name.
        text, why = read("/proc/sys/" + name.translate({ord("/"): ".", ord("."): "/"}), path)
        if not why:
            lines.append(f"{name} = {' '.join(text.split())}")
    return "".join(f"{line}\n" for line in lines)
