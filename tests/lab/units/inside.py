"""Run by systemd beside the units: uses them, and tells what was seen in /opt/told/seen.json."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import conntap

UNITS = ("conntap-log", "conntap-collect", "conntap-guard")
FLOWS = 20
MASTER = {"orig_src": "10.0.0.5", "orig_dst": "198.51.100.9", "l4proto": 6, "orig_sport": 4000, "orig_dport": 21}


def systemctl(*words: str) -> str:
    return subprocess.run(["systemctl", "--no-pager", *words], capture_output=True, text=True).stdout


def unit(name: str) -> dict[str, str]:
    """What systemd knows of it, and the kernel of its process."""
    wanted = "ActiveState,SubState,Result,NRestarts,MainPID,StatusText,ExecMainStatus,User"
    told = dict(line.split("=", 1) for line in systemctl("show", name, "-p", wanted).splitlines())
    try:
        status = Path(f"/proc/{told['MainPID']}/status").read_text()
    except OSError:
        return told
    kept = ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
    return told | dict(line.split(":\t", 1) for line in status.splitlines() if line.split(":")[0] in kept)


def until(condition: Any, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def main() -> None:
    seen: dict[str, Any] = {"running": {name: unit(name) for name in UNITS}}
    with conntap.open() as ct:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(FLOWS):
                sender.sendto(b"x", ("127.0.0.1", 9000 + number))
        systemctl("reload", "conntap-log", "conntap-collect")
        seen["reloaded"] = {name: unit(name) for name in ("conntap-log", "conntap-collect")}

        ct.create(**MASTER, timeout=60, tcp_state=3, helper="ftp")
        ct.create_expectation(
            dst="10.0.0.5", dport=22, l4proto=6, timeout=60, master_src="10.0.0.5", master_dst="198.51.100.9",
            master_l4proto=6, master_sport=4000, master_dport=21,
        )  # fmt: skip
        seen["guard deleted it"] = until(lambda: not list(ct.expectations()))

        systemctl("kill", "--signal=KILL", "conntap-log")
        until(lambda: unit("conntap-log")["NRestarts"] == "1" and unit("conntap-log")["ActiveState"] == "active")
        seen["killed"] = unit("conntap-log")
        ct.flush()
    systemctl("stop", *UNITS)
    seen["stopped"] = {name: unit(name) for name in UNITS}
    flows = conntap.ledger("/var/lib/conntap").flows("udp")
    seen["flows"] = [flow["orig_dport"] for flow in flows.rows()]
    verified = subprocess.run(["conntap", "ledger", "verify", "/var/lib/conntap"], capture_output=True, text=True)
    seen["verified"] = [verified.returncode, verified.stdout + verified.stderr]

    Path("/etc/conntap/log.toml").write_text("sinks = 1\n")
    systemctl("start", "conntap-log")
    time.sleep(1.5)  # waits: it is not started again
    seen["misconfigured"] = unit("conntap-log")
    Path("/opt/told/seen.json").write_text(json.dumps(seen, indent=1))


main()
