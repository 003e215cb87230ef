"""`conntap demo`: an FTP download through a masquerading gateway, told while it happens.

On this machine's kernel where it gives us namespaces and netfilter; else one line says why not, and the userspace
engine is the gateway: for the packets of such a session, which ship with the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from conntap import _core
    from conntap.cli.io import IO
    from conntap.errors import ConntapError

__all__ = ["CAPTURE", "demo"]

#: A session as it came to the gateway, from both sides; see docs/lab.md.
CAPTURE = Path(__file__).parent.parent / "lab" / "data" / "ftp-active.pcap"

PICTURE = """\
   client                 NAT gateway                      FTP server
  10.0.0.5 ──────── 10.0.0.1   203.0.113.1 ──────── 198.51.100.9
                    masquerade, ct helper ftp
"""


@click.command(epilog="More: conntap lab list")
@click.option("--engine", is_flag=True, help="Without the kernel, also where it would do.")
@click.option("--ascii", is_flag=True, help="Only ASCII signs.")
@click.pass_obj
def demo(io: IO, engine: bool, ascii: bool) -> int:
    """Watch an FTP download through a masquerading gateway.

    A real FTP server and client, in namespaces that vanish at the end. Needs no root where users may make namespaces;
    where they may not, the packets of such a session go through conntap's own engine.
    """
    from conntap.errors import PrivilegeError, UnsupportedError
    from conntap.lab.errors import LabError

    io.ascii = io.ascii or ascii
    if not engine:
        try:
            return live(io)
        except (LabError, PrivilegeError, UnsupportedError) as error:
            tell_why_not(io, error)
    return tracked(io)


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
        teller, asker = Teller(io), Asker(io)
        session = Session(built, scenario)
        for batch in session.batches():
            asker.note(batch)
            if not session.seen[len(batch) :]:
                teller.introduce(f"on this kernel, in namespaces set up in {built.setup_seconds:.2f} s")
            teller.tell(batch)
    io.say("")
    verdict(io, session)
    asker.ask()
    io.say("The lab is gone. See more: conntap lab list · sudo conntap watch")
    return 1 if session.missing() else 0


def tracked(io: IO) -> int:
    """Let the engine be the gateway for the bundled packets."""
    from conntap.captures import Capture
    from conntap.helpers.assign import assign
    from conntap.lab.ruleset import SHORT_TIMEOUTS, TRACKING
    from conntap.lab.topology import GATEWAY
    from conntap.nat import masquerade
    from conntap.tracker import Setup

    settings = {name.rpartition("/")[2]: value for name, value in {**TRACKING, **SHORT_TIMEOUTS}.items()}
    setup = Setup(settings=settings, helpers=assign("ftp"), nat=(masquerade(GATEWAY),))
    teller, asker = Teller(io), Asker(io)
    teller.introduce("by conntap's own engine, out of the session's packets")
    for batch in Capture([CAPTURE], setup, drain=True).batches():
        asker.note(batch)
        teller.tell(batch)
    asker.ask()
    return 0


def tell_why_not(io: IO, error: ConntapError) -> None:
    """One line: what is missing and how to get it."""
    remedy = f" (remedy: {error.hint})" if error.hint else ""
    io.say(f"not live on this machine: {error}{remedy}; conntap's own engine is the gateway instead")


class Asker:
    """Logs the session to a ledger and asks it who had the outside port of the FTP data connection."""

    __slots__ = ("_batches", "_data", "_io")

    def __init__(self, io: IO) -> None:
        self._io = io
        self._batches: list[_core.Batch] = []
        self._data: _core.Flow | None = None

    def note(self, batch: _core.Batch) -> None:
        """Keep the events, and note the data connection: the one that a helper had announced."""
        self._batches.append(batch)
        for event in batch.events():
            if event.kind == "NEW" and event.flow is not None and event.flow.master is not None:
                self._data = event.flow

    def ask(self) -> None:
        """Log, ask, show; a package that is missing is told."""
        from conntap.errors import ConntapError

        if self._data is None:
            return
        try:
            self._ask(self._data)
        except ConntapError as error:
            self._io.say(f"no ledger: {error}" + (f" ({error.hint})" if error.hint else ""))

    def _ask(self, data: _core.Flow) -> None:
        from tempfile import TemporaryDirectory

        import conntap
        from conntap.cli.who import show
        from conntap.config import from_options
        from conntap.logger import make_logger
        from conntap.recording import RecordWriter
        from conntap.store.times import show as time_of

        translated = data.reply.dst != data.original.src
        address, port = (data.reply.dst, data.reply.dport) if translated else (data.original.dst, data.original.dport)
        ends = [
            event.flow for batch in self._batches for event in batch.events() if event.kind == "DESTROY" and event.flow
        ]
        end = next(flow for flow in ends if (flow.original, flow.zone) == (data.original, data.zone))
        moment = ((end.start_ns or data.received_ns) + (end.stop_ns or end.received_ns)) // 2
        with TemporaryDirectory(prefix="conntap-demo-") as folder:
            with RecordWriter(f"{folder}/events.pcapng") as file:
                for batch in self._batches:
                    file.write(batch)
            target = f"parquet:{folder}/ledger"
            settings = from_options(to=[target], files=[f"{folder}/events.pcapng"], state=f"{folder}/ledger")
            pipeline = make_logger(settings, say=self._io.say)
            pipeline.start()
            while pipeline.step(0):
                pass
            pipeline.stop()
            kept = pipeline.progress.flows
            told = f"\nThe session went to a ledger, as `conntap log --to parquet:DIR` does: {kept} connections."
            asked = f"$ conntap who {address}:{port} tcp --at '{time_of(moment, utc=False)}' --skew 0s"
            self._io.write(f"{told}\n{asked}\n".encode())
            show(
                self._io,
                conntap.ledger(f"{folder}/ledger").who(str(address), port, "tcp", at=moment, skew=0),
                utc=False,
            )


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
