"""Modules: loaded, built in, in use, missing; and parameters that loosen a helper."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest

from conntap.doctor.modules import MODULES, look
from conntap.doctor.reading import Reading

if TYPE_CHECKING:
    from pathlib import Path

    from conntap.doctor.model import Entry

WORKS = Reading(settings={"netfilter/nf_conntrack_count": "0"}, cpus=({"cpu": 0},), nf_log=" 2 NONE (nfnetlink_log)\n")


def looked(root: Path, seen: Reading = WORKS) -> dict[str, Entry]:
    return {entry.name: entry for entry in look(seen, root=str(root))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with modules: one loaded, one built in by modules.builtin."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/modules").write_text("nf_conntrack_ftp 24576 0 - Live 0x0\n")
    builtin = tmp_path / "lib/modules" / os.uname().release
    builtin.mkdir(parents=True)
    (builtin / "modules.builtin").write_text("kernel/net/netfilter/nf_tables.ko\nkernel/net/netfilter/xt-CT.ko\n")
    return tmp_path


def test_where_modules_are(root: Path) -> None:
    found = {name: entry.value for name, entry in looked(root).items()}
    assert found["nf_conntrack_ftp"] == "loaded"
    assert found["nf_tables"] == found["xt_CT"] == "built in"
    assert found["nf_conntrack"] == found["nf_conntrack_netlink"] == found["nfnetlink_log"] == "in use"
    assert found["nf_conntrack_sip"] == "not here"


def test_a_kernel_that_tells_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    text = "CONFIG_NF_CONNTRACK_SIP=y\n# CONFIG_NF_FLOW_TABLE is not set\nCONFIG_NF_NAT=m\n"
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(text.encode()))
    found = {name: entry.value for name, entry in looked(tmp_path).items()}
    assert (found["nf_conntrack_sip"], found["nf_flow_table"], found["nf_nat"]) == ("built in", "not here", "not here")


def test_nothing_tells_anything(tmp_path: Path) -> None:
    assert looked(tmp_path, Reading())["nf_conntrack_sip"].value == "not known"


def test_connection_tracking_that_is_missing_is_to_do(root: Path) -> None:
    entry = looked(root, Reading())["nf_conntrack_netlink"]
    assert (entry.level, entry.todo) == ("todo", "modprobe nf_conntrack_netlink")


@pytest.mark.parametrize(("value", "level"), [("N", "fine"), ("0", "fine"), ("Y", "todo"), ("1", "todo")])
def test_a_parameter_that_loosens_ftp(root: Path, value: str, level: str) -> None:
    folder = root / "sys/module/nf_conntrack_ftp/parameters"
    folder.mkdir(parents=True)
    (folder / "loose").write_text(f"{value}\n")
    entry = looked(root)["nf_conntrack_ftp.loose"]
    assert (entry.group, entry.level) == ("helpers", level)
    assert ("options nf_conntrack_ftp loose=N" in entry.todo) == (level == "todo")


def test_names_are_told_once() -> None:
    assert len({module.name for module in MODULES}) == len(MODULES)
