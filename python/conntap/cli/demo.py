"""`conntap demo`: an FTP download through a masquerading gateway, told while it happens.

On this machine's kernel where it gives us namespaces and netfilter; else one line says why not and the recording of
the same session, which ships with the package, is told instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from conntap import _core
    from conntap.cli.io import IO
    from conntap.errors import ConntapError

__all__ = ["RECORDING", "demo"]

#: Made by scripts in docs/lab.md: `conntap lab run ftp` recorded by `conntap record`.
RECORDING = Path(__file__).parent.parent / "lab" / "data" / "ftp.pcapng"

PICTURE = """\
   client                 NAT gateway                      FTP server
  10.0.0.5 ──────── 10.0.0.1   203.0.113.1 ──────── 198.51.100.9
                    masquerade, ct helper ftp
"""


@click.command(epilog="More: conntap lab list")
@click.option("--recorded", is_flag=True, help="Tell the recording, also where the kernel would do.")
@click.option("--ascii", is_flag=True, help="Only ASCII signs.")
@click.pass_obj
def demo(io: IO, recorded: bool, ascii: bool) -> int:
    """Watch an FTP download through a masquerading gateway.

    A real FTP server and client, in namespaces that vanish at the end. Needs no root where users may make namespaces.
    """
    from conntap.errors import PrivilegeError, UnsupportedError
    from conntap.lab.errors import LabError

    io.ascii = io.ascii or ascii
    if not recorded:
        try:
            return live(io)
        except (LabError, PrivilegeError, UnsupportedError) as error:
            tell_why_not(io, error)
    return replayed(io)


def live(io: IO) -> int:
    """Build the lab, download, tell.

    Raises:
        LabError, PrivilegeError, UnsupportedError: not on this machine.
    """
    from conntap.cli.lab import verdict
    from conntap.lab import Lab, kernel, sandbox
    from conntap.lab.scenarios import load
    from conntap.lab.session import Session

    if not kernel.has_sys_admin():
        sandbox.run([])  # raises what the second start could only print
        sandbox.enter()
    scenario = load("ftp")
    with Lab() as built:
        teller = Teller(io)
        session = Session(built, scenario)
        for batch in session.batches():
            if not session.seen[len(batch) :]:
                teller.introduce(f"on this kernel, in namespaces set up in {built.setup_seconds:.2f} s")
            teller.tell(batch)
    io.say("")
    verdict(io, session)
    io.say("The lab is gone. See more: conntap lab list · sudo conntap watch")
    return 1 if session.missing() else 0


def replayed(io: IO) -> int:
    """Tell the bundled recording."""
    from conntap.recording import Recording

    teller = Teller(io)
    teller.introduce("recorded by conntap record")
    for batch in Recording(RECORDING).batches():
        teller.tell(batch)
    return 0


def tell_why_not(io: IO, error: ConntapError) -> None:
    """One line: what is missing and how to get it."""
    remedy = f" (remedy: {error.hint})" if error.hint else ""
    io.say(f"not live on this machine: {error}{remedy}; this is the recording of the same session")


class Teller:
    """Prints the story: steps numbered, events and conntrack's own line indented below."""

    __slots__ = ("_io", "_narrator", "_steps")

    def __init__(self, io: IO) -> None:
        from conntap.lab.narrator import Narrator

        self._io = io
        self._narrator = Narrator()
        self._steps = 0

    def introduce(self, how: str) -> None:
        """Say what is to be seen."""
        self._print(f"An FTP download through a masquerading gateway, {how}:\n\n{PICTURE}")

    def tell(self, batch: _core.Batch) -> None:
        """Tell the events of a batch."""
        for event in batch.events():
            for line in self._narrator.tell(event):
                if line.kind == "step":
                    self._print("")
                    for row in self._wrapped(line.text):
                        self._print(click.style(row, bold=True) if self._io.color else row)
                else:
                    self._print(f"   {line.text}")

    def _wrapped(self, text: str) -> list[str]:
        import textwrap

        return textwrap.wrap(text, max(60, min(self._io.width or 100, 120) - 1))

    def _print(self, text: str) -> None:
        if self._io.ascii:
            text = text.translate(ASCII).encode("ascii", "replace").decode()
        self._io.write(f"{text}\n".encode())


ASCII = str.maketrans({"─": "-", "→": ">", "⇒": "=", "·": "-", "⊕": "*", "⊖": "*", "−": "-", "↑": "^", "↓": "v"})
