"""Run in a sandbox of its own: the same connections seen by ulogd2 and by our ledger, as lines into two files."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import conntap
from conntap import _core
from receivers import wait_until

RULES = """
table ip nat { chain post { type nat hook postrouting priority 100; ip daddr 127.0.0.2 snat to 127.0.0.9; }; }
table inet track { chain out { type filter hook output priority 0; ct state new accept; }; }
"""
SYSCTLS = {"acct": 1, "timestamp": 1, "events": 1}


def traffic() -> int:
    """TCP through NAT, UDP and ICMP of both families; returns how many connections."""
    with socket.create_server(("127.0.0.2", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.send(b"hello")
            accepted.recv(5)
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.bind((address, 0))
            udp.sendto(b"x", udp.getsockname())
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ping:
        ping.sendto(bytes([8, 0, 0xF7, 0xFD, 0, 1, 0, 1]), ("127.0.0.3", 0))
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as ping:
        ping.sendto(bytes([128, 0, 0, 0, 0, 1, 0, 1]), ("::1", 0))
    return 5


def main(home: Path, ulogd: str, plugins: Path) -> None:
    subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
    for name, value in SYSCTLS.items():
        Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").write_text(str(value))
    needed = ("inpflow_NFCT", "filter_IP2STR", "output_JSON")
    config = home / "ulogd.conf"
    config.write_text(
        f'[global]\nlogfile="{home}/log"\nloglevel=1\n'
        + "".join(f'plugin="{plugins}/ulogd_{name}.so"\n' for name in needed)
        + f'stack=ct1:NFCT,ip2str1:IP2STR,json1:JSON\n[ct1]\nhash_enable=1\n[json1]\nsync=1\nfile="{home}/theirs"\n'
    )
    log, theirs = home / "log", home / "theirs"
    with subprocess.Popen([ulogd, "-c", str(config)]) as daemon:
        try:
            assert wait_until(lambda: log.exists() and "entering main loop" in log.read_text()), log.read_text()
            ledger, lines = _core.Ledger(), _core.LineFormatter("ulogd")
            ours: list[bytes] = []
            with conntap.open() as ct, ct.events() as events:
                count = traffic()
                ct.flush()
                while len(ours) < count:
                    batch = events.receive(5)
                    assert batch is not None, ours
                    made = lines.format(ledger.feed(batch)).splitlines(keepends=True)
                    ours += [line for line in made if b"conntap.gap" not in line]  # ulogd has none
            (home / "ours").write_bytes(b"".join(ours))
            assert wait_until(lambda: theirs.exists() and theirs.read_bytes().count(b"\n") >= count)
        finally:
            daemon.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
