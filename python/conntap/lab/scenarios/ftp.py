"""FTP download by real programs, pyftpdlib and ftplib, through the masquerading gateway.

The gateway's ftp helper reads the control connection (passive: the server's 227 or 229 answer, active: the client's
PORT), announces the data connection as an expectation, and the data connection then is RELATED: it has the control
connection for its master and inherits its NAT. RFC 959, RFC 2428.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conntap.lab.errors import LabError, MissingProgramError
from conntap.lab.scenarios.facts import TCP, Claim, Ends, Facts
from conntap.lab.topology import CLIENT, GATEWAY, SERVER

if TYPE_CHECKING:
    from conntap.lab.topology import Lab

__all__ = ["Download", "data_claims", "download", "run"]

CONTROL_PORT = 21
TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Download:
    """What the client saw: its ports of both connections, the server's data port, and the file's size."""

    control_sport: int
    data_sport: int
    data_dport: int
    size_bytes: int


def run(lab: Lab) -> Facts:
    """Passive: the client opens the data connection too."""
    done = download(lab, SERVER)
    return Facts(
        summary=f"{CLIENT} downloaded {done.size_bytes:,} bytes from {SERVER}",
        claims=data_claims(
            control=Ends(CLIENT, SERVER, done.control_sport, CONTROL_PORT),
            control_reply=Ends(SERVER, GATEWAY, CONTROL_PORT),
            awaited=Ends(CLIENT, SERVER, None, done.data_dport),
            data=Ends(CLIENT, SERVER, done.data_sport, done.data_dport),
            data_reply=Ends(SERVER, GATEWAY, done.data_dport),
        ),
    )


def data_claims(
    *, control: Ends, control_reply: Ends, awaited: Ends, data: Ends, data_reply: Ends
) -> tuple[Claim, ...]:
    """What every FTP transfer through the gateway must show."""
    return (
        Claim(
            says="the control connection begins; a rule gave it the ftp helper",
            kind="NEW", protocol=TCP, original=control, reply=control_reply, related=False, helper="ftp",
        ),
        Claim(
            says="the control connection is established",
            kind="UPDATE", protocol=TCP, original=control, reply=control_reply,
        ),
        Claim(
            says="the helper announces the data connection",
            kind="EXP_NEW", protocol=TCP, original=awaited, helper="ftp", master=control,
        ),
        Claim(
            says="the announcement is used up",
            kind="EXP_DESTROY", protocol=TCP, original=awaited, helper="ftp", master=control,
        ),
        Claim(
            says="the data connection begins: RELATED, with the NAT of its master",
            kind="NEW", protocol=TCP, original=data, reply=data_reply, related=True, master=control,
        ),
        Claim(says="the data connection is forgotten", kind="DESTROY", protocol=TCP, original=data, reply=data_reply),
        Claim(
            says="the control connection is forgotten",
            kind="DESTROY", protocol=TCP, original=control, reply=control_reply,
        ),
    )  # fmt: skip


def download(lab: Lab, server: str, *, passive: bool = True) -> Download:
    """Start the server at that address, fetch its file once, stop it.

    Raises:
        MissingProgramError: pyftpdlib is not installed.
        LabError: the server did not start, or what came was not the file.
    """
    program = lab.server.popen([sys.executable, "-m", "conntap.lab.ftp_server", server, str(CONTROL_PORT)])
    with program:
        try:
            _await_ready(program.stdout.readline() if program.stdout else b"")
            return lab.client.call(_fetch, server, passive)
        finally:
            program.kill()


def _await_ready(line: bytes) -> None:
    if line.startswith(b"missing"):
        raise MissingProgramError("the lab needs pyftpdlib", hint="pip install 'conntap[lab]'")
    if line != b"ready\n":
        raise LabError(f"the FTP server did not start: {line.decode(errors='replace').strip() or 'no word'}")


def _fetch(server: str, passive: bool) -> Download:
    """The client's side. ftplib sends EPSV over IPv6 and PASV over IPv4."""
    import ftplib

    from conntap.lab.ftp_server import FILE_BYTES, FILE_NAME

    with ftplib.FTP(timeout=TIMEOUT_SECONDS) as ftp:
        ftp.connect(server, CONTROL_PORT)
        ftp.login()
        ftp.set_pasv(passive)
        ftp.voidcmd("TYPE I")
        control_sport = ftp.sock.getsockname()[1] if ftp.sock else 0
        with ftp.transfercmd(f"RETR {FILE_NAME}") as data:
            mine, theirs = data.getsockname()[1], data.getpeername()[1]
            size = 0
            while block := data.recv(65536):
                size += len(block)
        ftp.voidresp()
        ftp.quit()
    if size != FILE_BYTES:
        raise LabError(f"{size} bytes came instead of {FILE_BYTES}")
    return Download(control_sport, mine, theirs, size)
