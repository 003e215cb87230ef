"""Runs a case in network and mount namespaces of its own, which end with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from golden.dropin.transcripts import Transcript

__all__ = ["Result", "Runner", "unavailable"]

TOOLS = Path(__file__).parent / "tools"
DEADLINE_SECONDS = 30

# Variables: WORK. Files in $WORK: setup, actions, command (shell text); out, err, status (results).
PLAIN = """
bash "$WORK/setup" >/dev/null 2>&1 </dev/null
bash "$WORK/command" >"$WORK/out" 2>"$WORK/err" </dev/null
echo $? >"$WORK/status"
"""
# A listener is ready when its socket has joined a group; it is done when the awaited lines are there.
LISTENING = """
lines() { wc -l <"$WORK/$1"; }
bash "$WORK/setup" >/dev/null 2>&1 </dev/null
$(cat "$WORK/command") >"$WORK/out" 2>"$WORK/err" </dev/null &
export EVPID=$!
for _ in $(seq 300); do
    awk '$2 == 12 && $4 != "00000000" { found = 1 } END { exit !found }' /proc/net/netlink && break
    sleep 0.01
done
bash "$WORK/actions" >/dev/null 2>&1 </dev/null
for _ in $(seq 150); do
    [ "$(lines out)" -ge "$OUT_LINES" ] && [ "$(lines err)" -ge "$ERR_LINES" ] && break
    sleep 0.02
done
sleep "$GRACE"
kill -"$SIGNAL" $EVPID
wait $EVPID
echo $? >"$WORK/status"
"""
LABELS = """
cp /etc/protocols /etc/passwd "$WORK/"
mount -t tmpfs none /etc
mkdir /etc/xtables
cp "$WORK/protocols" "$WORK/passwd" /etc/
printf '1 red\\n2 green\\n3 blue\\n' >/etc/xtables/connlabel.conf
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What a case gave."""

    exit: int
    stdout: str
    stderr: str


class Runner:
    """Runs cases with one program standing as `conntrack` in front of the search path."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder
        binaries = folder / "bin"
        binaries.mkdir()
        (binaries / "conntrack").symlink_to(program)
        path = (
            binaries,
            TOOLS,
            Path(sys.executable).parent,
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        self.environment = {"PATH": ":".join(map(str, path)), "TZ": "UTC", "LC_ALL": "C", "HOME": "/"}

    def run(self, case: Transcript) -> Result:
        """Run one case."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            work = Path(name)
            work.chmod(0o755)
            for part in ("setup", "actions", "command"):
                (work / part).write_text(getattr(case, part) + "\n")
            if case.name.startswith("229"):
                # An entry is born without events where nobody on the whole system listens. Somebody may: say so.
                events = "sysctl -qw net.netfilter.nf_conntrack_events"
                (work / "setup").write_text(f"{events}=0\n{case.setup}\n{events}=2\n")
            script = "set -u\nip link set lo up\ncd $WORK\n" + (LABELS if case.name.startswith("25") else "")
            variables = {"WORK": name} | (_patience(case) if case.signal else {})
            subprocess.run(
                [*isolation(), "bash", "-c", script + (LISTENING if case.signal else PLAIN)],
                env=self.environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
                timeout=DEADLINE_SECONDS,
            )
            return Result(int((work / "status").read_text()), (work / "out").read_text(), (work / "err").read_text())


def _patience(case: Transcript) -> dict[str, str]:
    """Say for what to wait before the listener is stopped: every line but those that it prints at its end."""
    out, err = case.stdout.count("\n"), case.stderr.count("\n")
    ending = case.stdout.endswith("</conntrack>\n") or case.stdout.endswith("</expect>\n")
    # Where nothing is awaited, something unexpected gets a moment to appear.
    grace = "0.02" if out or err > 1 else "0.15"
    return {
        "OUT_LINES": str(out - ending),
        "ERR_LINES": str(max(err - 1, 0)),
        "SIGNAL": case.signal,
        "GRACE": grace,
    }


def isolation() -> list[str]:
    """Return the words that run a command in namespaces of its own; without root in a user namespace."""
    return ["unshare", *(() if os.geteuid() == 0 else ("--map-root-user",)), "--net", "--mount"]


def unavailable() -> str:
    """Return why cases cannot run on this machine; empty if they can."""
    for tool in ("unshare", "ip", "nft", "setpriv", "bash"):
        if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            return f"{tool} is not installed"
    probe = [*isolation(), "sh", "-c", "ip link set lo up && test -e /proc/sys/net/netfilter/nf_conntrack_count"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "no network namespace with connection tracking"
    return ""


@contextmanager
def workshop() -> Iterator[Path]:
    """Make a folder that ordinary users may enter, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="conntap-golden-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def our_program() -> Path:
    """Return the installed script `conntap-conntrack`."""
    return Path(sys.executable).with_name("conntap-conntrack")
