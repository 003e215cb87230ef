"""A gateway out of files: what each is, is told by what it holds."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from conntap.errors import UsageError
from conntap.gateway.bundle import MAX_TEXT, is_bundle, read_bundle
from conntap.gateway.state import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["kind_of", "read_files"]

#: Words by which a table of iptables-save begins.
TABLES: Final = ("*filter", "*nat", "*mangle", "*raw", "*security")
#: A line of `sysctl -a`, or of module parameters.
SETTING: Final = re.compile(r"\s*[\w*-][\w*@/:-]*[./][\w.*@/:-]*\s*=[ -~]*")
#: As much of a text as is looked at to tell what it is.
HEAD: Final = 1 << 16


def read_files(
    paths: Iterable[str | os.PathLike[str]] = (), named: Mapping[str, str | os.PathLike[str]] | None = None
) -> Gateway:
    """Read a gateway from files.

    Args:
        paths: files whose kind is told by what they hold; a bundle is one, too.
        named: name of a text (as in `Gateway.texts`) → file.

    Raises:
        UsageError: it cannot be told what a file is, or two are the same.
        OSError: one cannot be read.
    """
    texts: dict[str, str] = {}
    missing: dict[str, str] = {}
    sources: dict[str, str] = {}
    for path in paths:
        data = read(path)
        if is_bundle(data[:512]):
            bundle = read_bundle(path)
            for name, text in bundle.texts.items():
                add(texts, name, text, path)
            missing |= dict(bundle.missing)
        else:
            text = data.decode(errors="replace")
            kind = kind_of(text, os.path.basename(os.fspath(path)))
            if not kind:
                raise UsageError(
                    f"{path}: it cannot be told what this is",
                    hint="say it: --nft, --iptables-save, --ip6tables-save, --sysctl, --parameters FILE; "
                    "rules of nft are read as JSON: nft -j list ruleset",
                )
            add(texts, kind, text, path)
            sources[kind] = os.fspath(path)
    for name, path in (named or {}).items():
        text = read(path).decode(errors="replace")
        if name in ("sysctl", "parameters") and not any(SETTING.fullmatch(line) for line in text.splitlines()):
            raise UsageError(f"{path}: this has no line `name = value`", hint=f"conntap audit --{name} FILE")
        add(texts, name, text, path)
        sources[name] = os.fspath(path)
    return Gateway(texts, {name: why for name, why in missing.items() if name not in texts}, sources)


def read(path: str | os.PathLike[str]) -> bytes:
    """A file's bytes, not more than a text can have."""
    with open(path, "rb") as file:
        data = file.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise UsageError(f"{path}: this file is larger than {MAX_TEXT:,} bytes")
    return data


def add(texts: dict[str, str], name: str, text: str, path: str | os.PathLike[str]) -> None:
    if name in texts:
        raise UsageError(f"{path}: there is '{name}' already, from another file")
    texts[name] = text


def kind_of(text: str, name: str = "") -> str:
    """What a text is, by what it holds; "" where that cannot be told.

    The file's name only parts IPv4 and IPv6 of iptables-save.
    """
    head = text[:HEAD].lstrip()
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    if head.startswith(("{", "[")):
        if '"nftables"' in head:
            return "nft.json"
        if '"ifname"' in head and '"flags"' in head:
            return "addresses.json"
        if '"dst"' in head:
            return "routes6.json" if '"::1"' in head or '"fe80::' in head else "routes.json"
        return ""
    if any(line in TABLES for line in lines):
        six = "ip6tables" in head or "ip6tables" in name or "icmp6" in head or "ipv6-icmp" in head
        return "ip6tables-save" if six else "iptables-save"
    settings = [line for line in lines if not line.startswith(("#", ";"))]
    # The last line of what was looked at may be cut.
    whole = settings[:-1] or settings
    if whole and all(is_module(line) for line in whole):
        return "modules"
    if not whole or not all("=" in line for line in whole):
        return ""
    names = [line.partition("=")[0].strip() for line in whole]
    if any(one.startswith(("nf_", "xt_", "nfnetlink", "ip_")) for one in names):
        return "parameters"
    return "sysctl" if all("." in one or "/" in one for one in names) else ""


def is_module(line: str) -> bool:
    """A line of /proc/modules: a name, a size, how often it is used, by whom."""
    words = line.split()
    return len(words) >= 4 and words[1].isdecimal() and words[2].isdecimal()
