"""Units and their company are read by the programs that they are for, and say what the product does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from conntap.config import example, read_file
from conntap.knobs import KNOBS

UNITS = ("conntap-log", "conntap-collect", "conntap-guard")
#: systemd-analyze security's overall exposure, in tenths, that may not be exceeded.
MOST_EXPOSED = 15


def need(program: str) -> str:
    return shutil.which(program) or pytest.skip(f"needs the program {program}")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_hardened(root, unit):
    path = root / f"packaging/systemd/{unit}.service"
    done = run(
        need("systemd-analyze"), "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSED}", str(path)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"exposure level for {unit}\.service: [01]\.\d", done.stdout)


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_has_no_fault(root, tmp_path, unit):
    """Its program is not installed here: Python stands in for it."""
    text = (root / f"packaging/systemd/{unit}.service").read_text()
    program = "ExecStart=/usr/bin/conntap "
    assert program in text
    (tmp_path / f"{unit}.service").write_text(text.replace(program, f"ExecStart={sys.executable} "))
    done = run(need("systemd-analyze"), "verify", "--man=no", str(tmp_path / f"{unit}.service"))
    assert (done.returncode, done.stderr) == (0, "")


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def test_logger_and_guard_have_one_capability_and_the_collector_none(root):
    log, collect, guard = (settings_of((root / f"packaging/systemd/{unit}.service").read_text()) for unit in UNITS)
    for one in (log, guard):
        assert one["AmbientCapabilities"] == one["CapabilityBoundingSet"] == "CAP_NET_ADMIN"
    assert collect["AmbientCapabilities"] == collect["CapabilityBoundingSet"] == ""


@pytest.mark.parametrize(("unit", "config"), [("conntap-log", "log.toml"), ("conntap-collect", "collect.toml")])
def test_a_unit_s_settings_go_with_its_folders(root, unit, config):
    """The service may write below its StateDirectory and nowhere else."""
    said = settings_of((root / f"packaging/systemd/{unit}.service").read_text())
    read = read_file(root / "packaging/wheel/data/share/conntap/etc/conntap" / config)
    assert said["ExecStart"].endswith(f" --config /etc/conntap/{config}")
    assert [sink.target for sink in read.sinks] == [f"parquet:/var/lib/{said['StateDirectory']}"]
    assert said["ProtectSystem"] == "strict"
    assert "ReadWritePaths" not in said


def test_the_wheel_carries_the_example(root):
    assert (root / "packaging/wheel/data/share/conntap/etc/conntap/log.toml").read_text() == example()


def test_sysctl_sets_what_the_logger_checks(root):
    text = (root / "packaging/sysctl.d/60-conntap.conf").read_text()
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == [knob.sysctl for knob in KNOBS]


@pytest.mark.lab
def test_the_kernel_takes_the_sysctl_file(root, netns):
    from conntap.knobs import check

    path = str(root / "packaging/sysctl.d/60-conntap.conf")
    done = run(need("nsenter"), f"--net=/proc/{netns}/ns/net", need("sysctl"), "-p", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(finding.ok for finding in check(netns))


def test_sysusers_makes_the_user_of_the_units(root, tmp_path):
    (tmp_path / "etc").mkdir()
    done = run(need("systemd-sysusers"), f"--root={tmp_path}", str(root / "packaging/sysusers.d/conntap.conf"))
    assert done.returncode == 0, done.stderr
    name, _, uid, gid, _, home, shell = (tmp_path / "etc/passwd").read_text().strip().split(":")
    assert (name, home, shell) == ("conntap", "/var/lib/conntap", "/usr/sbin/nologin")
    assert uid == gid
    for unit in UNITS:
        said = settings_of((root / f"packaging/systemd/{unit}.service").read_text())
        assert (said["User"], said["Group"]) == ("conntap", "conntap")


def test_tmpfiles_has_the_folders_of_the_units(root):
    text = (root / "packaging/tmpfiles.d/conntap.conf").read_text()
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert {words[1]: words[2:5] for words in lines if words[0] == "d"} == {
        "/etc/conntap": ["0750", "root", "conntap"],
        "/var/lib/conntap": ["0750", "conntap", "conntap"],
    }


def test_tmpfiles_takes_the_file(root, tmp_path):
    """With our own user in place of `conntap`, which this machine does not have."""
    text = (root / "packaging/tmpfiles.d/conntap.conf").read_text()
    mine = re.sub(r"^(\S+ \S+ \S+) \S+ \S+", r"\1 - -", text, flags=re.MULTILINE)
    (tmp_path / "conntap.conf").write_text(mine)
    (tmp_path / "root").mkdir()
    done = run(need("systemd-tmpfiles"), f"--root={tmp_path}/root", "--create", str(tmp_path / "conntap.conf"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "root/var/lib/conntap").stat().st_mode & 0o777 == 0o750


def test_every_module_that_is_loaded_early_has_a_plain_name(root):
    text = (root / "packaging/modules-load.d/conntap.conf").read_text()
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["nf_conntrack", "nf_conntrack_netlink"]
