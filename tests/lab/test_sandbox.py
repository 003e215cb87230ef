"""The launcher: a program in namespaces of its own, its status and its signals passed through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SANDBOX = (sys.executable, "-m", "conntap.lab.sandbox", "--")
# Root's own files stay readable, and nothing else of root is left. CAP_SETFCAP is what an ordinary user does not need
# but user 0 does, to map itself (Linux 5.12).
NO_PRIVILEGE = ("setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all")

NAMES = ("net", "mnt", "pid")


@pytest.fixture(autouse=True)
def _sandbox_is_to_be_had():
    if run("true").returncode:
        pytest.skip("the kernel refuses a user namespace")


def run(*command: str, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*under, *SANDBOX, *command], capture_output=True, text=True, timeout=60)


def under_no_privilege() -> tuple[str, ...]:
    return NO_PRIVILEGE if os.geteuid() == 0 else ()


@pytest.mark.parametrize("under", [(), under_no_privilege()], ids=["as we are", "without privilege"])
def test_program_has_namespaces_of_its_own_and_is_root_there(under):
    done = run("sh", "-c", f"id -u; readlink {' '.join(f'/proc/self/ns/{name}' for name in NAMES)}", under=under)
    user, *inside = done.stdout.split()
    outside = [os.readlink(f"/proc/self/ns/{name}") for name in NAMES]
    assert user == "0"
    assert len(inside) == 3
    assert not set(inside) & set(outside)


def test_proc_shows_only_the_sandbox_and_loopback_is_up():
    done = run("sh", "-c", "ls /proc | grep -c '^[0-9]'; cat /proc/net/if_inet6")
    count, *addresses = done.stdout.splitlines()
    assert int(count) < 10
    assert [line.split()[-1] for line in addresses] == ["lo"]


def test_a_lab_can_be_had_without_privilege(conntap):
    done = conntap("lab", "run", "udp", under=under_no_privilege())
    assert done.returncode == 0, done.stderr
    assert "✗" not in done.stderr
    assert "✓ the answer" in done.stderr


@pytest.mark.parametrize(("command", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_status_of_the_program_is_ours(command, status):
    assert run("sh", "-c", command).returncode == status


def test_a_program_that_does_not_exist_is_named():
    done = run("no-such-program")
    assert done.returncode == 1
    assert done.stderr == "conntap: cannot run 'no-such-program': No such file or directory\n"


def test_wrong_usage_is_told():
    assert run().returncode == 2
    assert run("--help").stderr.startswith("usage: ")


def test_termination_reaches_the_program():
    trap = "trap 'echo ended in order; exit 3' TERM; echo ready; while :; do read -r _ </dev/zero & wait $!; done"
    program = subprocess.Popen([*SANDBOX, "sh", "-c", trap], stdout=subprocess.PIPE, text=True)
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.terminate()
        assert program.stdout.read() == "ended in order\n"
        assert program.wait(timeout=10) == 3


def test_killing_the_launcher_ends_everything_inside(wait_for, tmp_path):
    """The sleeper left its session and its parent: only the pid namespace holds it."""
    mark = tmp_path / "mark"
    script = f"setsid sh -c 'echo up > {mark}; exec sleep 613' & wait"
    program = subprocess.Popen([*SANDBOX, "sh", "-c", script])
    wait_for(mark.exists, "the sleeper runs")
    wait_for(lambda: sleepers("613"), "the sleeper is seen")
    program.send_signal(signal.SIGKILL)
    program.wait(timeout=10)
    wait_for(lambda: not sleepers("613"), "the sleeper is gone")


def sleepers(seconds: str) -> list[str]:
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", seconds.encode()]:
            found.append(process.name)
    return found


def test_where_proc_is_masked_the_program_still_runs():
    """As in a container that hides parts of /proc: the kernel then gives a user namespace no fresh one."""
    inner = " ".join(SANDBOX)
    script = f"mount -t tmpfs none /proc/sys/kernel && exec {inner} sh -c 'echo inside; readlink /proc/self/ns/net'"
    done = run("sh", "-c", script, under=under_no_privilege())
    if "mount" in done.stderr and "inside" not in done.stdout:
        pytest.skip(f"the kernel refuses a user namespace a mount: {done.stderr.strip()}")
    assert done.stdout.startswith("inside\n")
    assert done.returncode == 0
