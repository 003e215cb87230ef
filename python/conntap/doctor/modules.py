"""Modules of connection tracking: which are loaded or built in, and parameters that loosen a helper."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from conntap.doctor.model import Entry, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.doctor.reading import Reading

__all__ = ["MODULES", "PARAMETERS", "Module", "look", "present"]


@dataclass(frozen=True, slots=True)
class Module:
    """One module.

    Attributes:
        name: as modprobe takes it.
        option: of the kernel's configuration.
        what: what it is for.
        shows: text in a table of loggers that only stands there with it.
    """

    name: str
    option: str
    what: str
    shows: str = ""


MODULES: Final = (
    Module("nf_conntrack", "NF_CONNTRACK", "connection tracking itself"),
    Module("nf_conntrack_netlink", "NF_CT_NETLINK", "reading and changing the table, and its events"),
    Module("nf_nat", "NF_NAT", "address translation"),
    Module("nf_tables", "NF_TABLES", "rules of nftables"),
    Module("nft_ct", "NFT_CT", "rules of nftables that ask for connections, or assign helpers"),
    Module("xt_CT", "NETFILTER_XT_TARGET_CT", "rules of iptables that assign helpers"),
    Module("nf_flow_table", "NF_FLOW_TABLE", "a fast path around the rules"),
    Module("nfnetlink_log", "NETFILTER_NETLINK_LOG", "packets logged to programs", "nfnetlink_log"),
    Module("nf_log_syslog", "NF_LOG_SYSLOG", "packets logged to the kernel's log", "nf_log_ipv4"),
    Module("nfnetlink_queue", "NETFILTER_NETLINK_QUEUE", "packets judged by programs"),
    Module("nfnetlink_cttimeout", "NF_CT_NETLINK_TIMEOUT", "timeouts by rule"),
    Module("nfnetlink_cthelper", "NF_CT_NETLINK_HELPER", "helpers in userspace"),
    *(
        Module(f"nf_conntrack_{name}", f"NF_CONNTRACK_{name.upper()}", f"the helper of {title}")
        for name, title in (
            ("amanda", "Amanda"), ("ftp", "FTP"), ("h323", "H.323"), ("irc", "IRC"), ("netbios_ns", "NetBIOS names"),
            ("pptp", "PPTP"), ("sane", "SANE"), ("sip", "SIP"), ("snmp", "SNMP"), ("tftp", "TFTP"),
        )
    ),
    *(
        Module(f"nf_nat_{name}", f"NF_NAT_{name.upper()}", f"address translation inside of {title}")
        for name, title in (("amanda", "Amanda"), ("ftp", "FTP"), ("h323", "H.323"), ("irc", "IRC"), ("pptp", "PPTP"),
                            ("sip", "SIP"), ("tftp", "TFTP"))
    ),
)  # fmt: skip

#: (module, parameter) → (the safe value, what another one does). Source: module_param in each helper's file.
PARAMETERS: Final = {
    ("nf_conntrack_ftp", "loose"): (
        "N",
        "an FTP server may announce another host: bounces through the gateway",
    ),
    ("nf_conntrack_sip", "sip_direct_signalling"): ("1", "anyone may call in, not only the registrar"),
    ("nf_conntrack_sip", "sip_direct_media"): ("1", "anyone may send to announced media ports"),
    ("nf_conntrack_h323", "gkrouted_only"): ("Y", "anyone may call in, not only the gatekeeper"),
}
#: Whether a helper is there, its name shows; whether it is missed nobody can tell.
NEEDED: Final = frozenset({"nf_conntrack", "nf_conntrack_netlink"})


def look(seen: Reading, *, root: str = "/") -> Iterator[Entry]:
    """Each module, and parameters that are not as safe as they could be."""
    for module in MODULES:
        state = present(module, seen, root=root)
        level: Level = "fine"
        todo = ""
        if module.name in NEEDED and state == "not here":
            level, todo = "todo", f"modprobe {module.name}"
        yield Entry(
            group="modules", name=module.name, value=state, level=level, what=module.what, todo=todo,
            source=f"CONFIG_{module.option}",
        )  # fmt: skip
    for (module, parameter), (safe, danger) in PARAMETERS.items():
        value = _read(os.path.join(root, f"sys/module/{module}/parameters/{parameter}")).strip()
        if not value:
            continue
        fine = value == safe or {value, safe} <= {"1", "Y"} or {value, safe} <= {"0", "N"}
        yield Entry(
            group="helpers", name=f"{module}.{parameter}", value=value, level="fine" if fine else "todo",
            what="a module's parameter", why="the safe value" if fine else danger,
            todo="" if fine else f"options {module} {parameter}={safe}  (in /etc/modprobe.d, then load it anew)",
            source=f"net/netfilter/{module}.c, {parameter}",
        )  # fmt: skip


def present(module: Module, seen: Reading, *, root: str = "/") -> str:
    """`loaded`, `built in`, `not here`, `not known`."""
    if module.name in _loaded(root):
        return "loaded"
    option = _configuration(root).get(module.option, "")
    if option == "y" or module.name in _built_in(root) or os.path.isdir(os.path.join(root, "sys/module", module.name)):
        return "built in"
    # Nothing says so, but it answers.
    works = {"nf_conntrack": "netfilter/nf_conntrack_count" in seen.settings, "nf_conntrack_netlink": bool(seen.cpus)}
    if works.get(module.name) or (module.shows and module.shows in seen.nf_log):
        return "in use"
    if option == "m" or os.path.exists(os.path.join(root, "proc/modules")) or _configuration(root):
        return "not here"
    return "not known"


@cache
def _loaded(root: str) -> frozenset[str]:
    lines = _read(os.path.join(root, "proc/modules")).splitlines()
    return frozenset(line.split(" ", 1)[0] for line in lines)


@cache
def _built_in(root: str) -> frozenset[str]:
    path = os.path.join(root, "lib/modules", os.uname().release, "modules.builtin")
    names = (os.path.basename(line) for line in _read(path).splitlines())
    return frozenset(name.removesuffix(".ko").replace("-", "_") for name in names)


@cache
def _configuration(root: str) -> dict[str, str]:
    """Options of this kernel, if it or the distribution tells."""
    path = os.path.join(root, "proc/config.gz")
    if os.path.exists(path):
        import gzip

        with gzip.open(path, "rt", encoding="ascii", errors="replace") as file:
            text = file.read()
    else:
        text = _read(os.path.join(root, "boot", f"config-{os.uname().release}"))
    rows = (line.removeprefix("CONFIG_").split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_"))
    return {row[0]: row[1] for row in rows if len(row) == 2}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
