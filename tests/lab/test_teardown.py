"""However a lab ends, nothing of it stays: no process, no namespace, no interface."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conntap.lab import Lab, kernel

BUILD_AND_WAIT = """
import os, signal, sys
from conntap.lab import Lab
with Lab() as lab:
    programs = [lab.client.popen(["sleep", "600"]), lab.server.popen(["sh", "-c", "sleep 600 & sleep 600"])]
    hosts = (lab.client, lab.gateway, lab.server)
    pids = [host.pid for host in hosts] + [program.pid for program in programs]
    networks = [os.readlink(f"/proc/{host.pid}/ns/net") for host in hosts]
    print(*pids, *networks, flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def _may_make_namespaces():
    if not kernel.has_sys_admin():
        pytest.skip("the kernel refuses a user namespace, or this is not `make test`")


def networks_in_use() -> set[str]:
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.add(os.readlink(process / "ns/net"))
        except OSError:
            continue
    return found


def interfaces() -> str:
    with open("/proc/thread-self/net/dev", encoding="ascii") as table:
        return " ".join(line.split(":")[0].strip() for line in table if ":" in line)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_nothing_stays_after_a_signal(how, wait_for):
    before = interfaces()
    program = subprocess.Popen(
        [sys.executable, "-c", BUILD_AND_WAIT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with program:
        assert program.stdout is not None
        words = program.stdout.readline().split()
        pids, networks = {int(word) for word in words[:5]}, set(words[5:])
        assert networks <= networks_in_use()
        program.send_signal(how)
        program.wait(timeout=10)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), f"processes {pids} gone")
    wait_for(lambda: not networks & networks_in_use(), f"namespaces {networks} gone")
    assert interfaces() == before


def test_close_ends_programs_that_still_run():
    with Lab() as lab:
        program = lab.client.popen(["sleep", "600"])
    assert program.returncode == -signal.SIGKILL


def test_a_lab_that_cannot_be_finished_is_taken_down(monkeypatch, wait_for):
    monkeypatch.setattr("conntap.lab.topology.GATEWAY_RULES", "no such grammar")
    before = networks_in_use()
    with pytest.raises(Exception, match="refuses the gateway's rules"), Lab():
        pass
    wait_for(lambda: networks_in_use() <= before, "namespaces gone")


def test_nothing_is_mounted_or_named():
    before = Path("/proc/self/mounts").read_text(), sorted(Path("/run").glob("netns/*"))
    with Lab():
        assert (Path("/proc/self/mounts").read_text(), sorted(Path("/run").glob("netns/*"))) == before
