"""`conntap doctor` on the real kernel: the kernel's own values, listeners and what they lost, without rights."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

import conntap
from conntap.doctor.settings import ELSEWHERE, SETTINGS
from conntap.doctor.timeouts import TIMEOUTS
from golden.cli.running import Running, call
from golden.cli.stage import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conntap.lab import Host, Lab


def diagnosed(host: Host, *words: str) -> dict[str, Any]:
    """What it says, by name."""
    done = call("doctor", "--json", "--netns", str(host.pid), *words)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert done.returncode == (1 if found["sums"]["todo"] else 0)
    return {entry["name"]: entry for entry in found["entries"]}


def listed() -> Iterator[str]:
    yield from (name for name in os.listdir("/proc/sys/net/netfilter") if name.startswith("nf_"))


def test_each_setting_of_this_kernel_is_known_and_has_the_value_we_say(host: Host) -> None:
    """A fresh namespace has the kernel's own values."""
    found = diagnosed(host)
    told = set(host.call(lambda: list(listed())))
    assert told - {"nf_log"} <= set(found)
    defaults = {one.name: one.default for one in (*SETTINGS, *TIMEOUTS)}
    assert {name: found[name]["number"] for name in told if defaults.get(name) is not None} == {
        name: defaults[name] for name in told if defaults.get(name) is not None
    }
    assert told & ELSEWHERE
    unknown = [name for name, entry in found.items() if entry["level"] == "unknown"]
    assert not unknown, f"this kernel has settings that are unknown to us: {unknown}"


def test_every_counter_of_this_kernel_is_known(host: Host) -> None:
    losses = [entry for entry in diagnosed(host).values() if entry["group"] == "losses"]
    assert {"drop", "early_drop", "insert_failed", "clash_resolve"} <= {entry["name"] for entry in losses}
    assert all(entry["what"] != "a counter that is unknown to us" for entry in losses), losses


def test_settings_that_are_wrong_are_to_do(host: Host) -> None:
    before = diagnosed(host)
    assert before["nf_conntrack_tcp_be_liberal"]["level"] == "fine"
    host.sysctl({"netfilter/nf_conntrack_tcp_be_liberal": 1, "netfilter/nf_conntrack_udp_timeout_stream": 20})
    after = diagnosed(host)
    for name in ("nf_conntrack_tcp_be_liberal", "nf_conntrack_udp_timeout_stream"):
        assert after[name]["level"] == "todo"
        assert after[name]["todo"].startswith(f"sysctl -w net.netfilter.{name}=")


def test_a_listener_is_found_with_its_owner_and_its_buffer(host: Host, tmp_path: Path) -> None:
    with Running(host.pid, tmp_path, "watch") as watching:
        watching.listening()
        found = diagnosed(host, "--only", "listeners", "--only", "settings")
        [listener] = [entry for entry in found.values() if entry["group"] == "listeners"]
        assert f"(pid {watching.process.pid})" in listener["name"]
        assert "hears new, update, destroy, expect new" in listener["why"]
        assert "its buffer is " in listener["why"]
        assert (listener["level"], listener["number"]) == ("fine", 0)
        assert found["nf_conntrack_events"]["level"] == "todo"
    assert "listeners" in diagnosed(host, "--only", "listeners")


def test_what_a_listener_lost_is_told(host: Host) -> None:
    """A socket that nobody reads, with the least of buffers."""

    def subscribe() -> socket.socket:
        handle = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        handle.bind((0, 0b111))
        return handle

    deaf = host.call(subscribe)
    with deaf, conntap.open(host.pid) as ct:
        for port in range(1, 200):
            ct.create(
                orig_src="192.0.2.1", orig_dst="198.51.100.9", l4proto=17, orig_sport=port, orig_dport=53, timeout=60
            )
        [listener] = diagnosed(host, "--only", "listeners").values()
    assert listener["level"] == "todo"
    assert listener["number"] > 100
    assert f"(pid {os.getpid()})" in listener["name"]


def test_expectations_are_counted_by_helper(lab: Lab) -> None:
    with conntap.open(lab.gateway.pid) as ct:
        ct.create(orig_src="10.0.0.5", orig_dst="198.51.100.9", l4proto=6, orig_sport=4_000, orig_dport=21,
                  timeout=60, tcp_state=3, helper="ftp")  # fmt: skip
        ct.create_expectation(dst="10.0.0.5", dport=5_001, l4proto=6, timeout=60, master_src="10.0.0.5",
                              master_dst="198.51.100.9", master_l4proto=6, master_sport=4_000,
                              master_dport=21)  # fmt: skip
        found = diagnosed(lab.gateway, "--only", "helpers")
    assert found["expectations of ftp"]["level"] == "note"
    assert "1 of them may be used by anyone" in found["expectations of ftp"]["why"]


def test_helpers_that_rules_can_assign(lab: Lab) -> None:
    entry = diagnosed(lab.gateway, "--only", "helpers")["helpers in nftables"]
    assert entry["value"] == "ftp, tftp"
    assert "ftp for tcp in inet lab" in entry["why"]


def test_without_rights_the_settings_are_still_told(host: Host, need: Callable[[str], str]) -> None:
    """As a process in the namespace that has lost its capabilities."""
    command = [need("setpriv"), "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    pid = str(host.pid)
    done = call("doctor", "--json", under=(need("nsenter"), "--net", "-t", pid, *command))
    found = json.loads(done.stdout)
    names = {entry["name"] for entry in found["entries"]}
    assert {"nf_conntrack_max", "nf_conntrack_tcp_loose"} <= names
    unseen = " ".join(f"{one['what']}: {one['why']}" for one in found["unseen"])
    if "drop" in names:
        pytest.skip("the kernel has no way to take this process's rights")
    assert "the kernel's counters, and the expectations" in unseen
    assert "CAP_NET_ADMIN" in unseen


def test_no_such_namespace() -> None:
    done = call("doctor", "--netns", "no-such-namespace")
    assert done.returncode == 1
    assert "no-such-namespace" in done.stderr


def test_it_leaves_nothing_behind(host: Host) -> None:
    before = host.call(os.listdir, "/proc/self/fd")
    call("doctor", "--netns", str(host.pid))
    wait_for(lambda: host.listeners() == 0, "no listener")
    assert len(host.call(os.listdir, "/proc/self/fd")) == len(before)
