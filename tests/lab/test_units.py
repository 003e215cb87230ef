"""The shipped units under a real systemd: hardened as they are, they start, reload, do their work and end in order."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from conntap.lab import kernel

UNITS = Path(__file__).parent / "units"
SYSTEMD = Path("/lib/systemd/systemd")
SECCOMP_FILTER = "2"
NET_ADMIN = 1 << 12


@pytest.fixture(scope="module")
def seen(tmp_path_factory, root):
    """What was seen inside; skips where there can be no such machine."""
    if not kernel.has_sys_admin() or len(Path("/proc/self/uid_map").read_text().split()) != 3:
        pytest.skip("the kernel refuses a user namespace, or this is not `make test`")
    if int(Path("/proc/self/uid_map").read_text().split()[2]) < 1 << 16:
        pytest.skip("needs root: the units have a user of their own")
    if not SYSTEMD.exists():
        pytest.skip("needs the program systemd")
    if " cgroup2 " not in Path("/proc/mounts").read_text():
        pytest.skip("the kernel has no cgroup2 mounted here")
    folder = tmp_path_factory.mktemp("units")
    (folder / "root").mkdir()
    folder.chmod(0o755)
    command = [str(UNITS / "boot.sh"), str(folder), str(root), sys.base_prefix, sysconfig.get_path("purelib")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
    if done.returncode == 77:
        pytest.skip(f"the kernel has no {done.stdout.strip()}")
    told = folder / "seen.json"
    said = "".join(path.read_text() for path in sorted(folder.glob("*.[eo][ru]*")))
    assert told.exists(), f"exit {done.returncode}\n{done.stdout}{done.stderr}\n{said}"
    return json.loads(told.read_text()) | {"said": said}


def test_they_run_with_little_right(seen):
    """systemd was told that they are ready; each has its own user, one capability or none, and a filter of calls."""
    capabilities = {"conntap-log": NET_ADMIN, "conntap-guard": NET_ADMIN, "conntap-collect": 0}
    for name, told in seen["running"].items():
        assert (told["ActiveState"], told["SubState"], told["NRestarts"]) == ("active", "running", "0"), seen["said"]
        assert int(told["CapEff"], 16) == int(told["CapBnd"], 16) == capabilities[name]
        assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", SECCOMP_FILTER)
        assert set(told["Uid"].split()) != {"0"}
        assert told["StatusText"]


def test_a_reload_keeps_the_process(seen):
    for name, told in seen["reloaded"].items():
        assert told["ActiveState"] == "active"
        assert told["MainPID"] == seen["running"][name]["MainPID"]


def test_a_logger_that_is_killed_comes_back_and_goes_on(seen):
    told = seen["killed"]
    assert (told["ActiveState"], told["NRestarts"]) == ("active", "1"), seen["said"]
    assert told["MainPID"] != seen["running"]["conntap-log"]["MainPID"]


def test_settings_that_cannot_be_used_are_told_once(seen):
    told = seen["misconfigured"]
    assert (told["ActiveState"], told["ExecMainStatus"], told["NRestarts"]) == ("failed", "2", "0")
    assert seen["said"].count("log.toml:1: sinks: there is no such key") == 1


def test_the_guard_works(seen):
    assert seen["guard deleted it"]


def test_the_ledger_is_whole(seen):
    assert sorted(seen["flows"]) == [9000 + number for number in range(20)], seen["said"]
    assert seen["verified"][0] == 0, seen["verified"]


def test_they_end_in_order(seen):
    for told in seen["stopped"].values():
        assert (told["ActiveState"], told["Result"], told["ExecMainStatus"]) == ("inactive", "success", "0")
