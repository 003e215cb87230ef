"""`conntap`: finds the command, and is the only place that knows exit codes and how errors look.

Exit: 0 done (also after ctrl+c and a closed pipe), 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from conntap.cli.io import IO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.errors import ConntapError

__all__ = ["cli", "main"]

#: Command → module (and the name in it); loaded when called, so that `--help` stays fast.
COMMANDS = {
    "watch": ("conntap.cli.watch", "watch", "See connections and expectations as they begin, change and end."),
    "list": ("conntap.cli.list", "list_", "Show the connections that the kernel holds now."),
    "expect": ("conntap.cli.expect", "expect", "Show the connections that helpers have announced."),
    "count": ("conntap.cli.count", "count", "Count connections."),
    "stats": ("conntap.cli.stats", "stats", "Show the kernel's own counters."),
    "delete": ("conntap.cli.delete", "delete", "Delete connections."),
    "record": ("conntap.cli.record", "record", "Write events to a file that Wireshark opens."),
    "replay": ("conntap.cli.replay", "replay", "Show what a recording or a packet capture holds, without privilege."),
    "explain": ("conntap.cli.explain", "explain", "Tell the story of a connection, packet by packet."),
    "audit": ("conntap.cli.audit", "audit", "Tell what a gateway lets in, and how to close it."),
    "log": ("conntap.cli.log", "log", "Record every connection and NAT mapping, without loss."),
    "collect": ("conntap.cli.collect", "collect", "Show or log the records that other exporters send."),
    "who": ("conntap.cli.who", "who", "Tell who had an address and port at some time."),
    "flows": ("conntap.cli.flows", "flows", "Show connections of a ledger, or sums of them."),
    "sql": ("conntap.cli.sql", "sql", "Ask a ledger in SQL."),
    "ledger": ("conntap.cli.ledger", "ledger", "Look after a ledger on disk: verify, merge, drop, hold."),
    "config": ("conntap.cli.config", "config", "Check the logger's settings, or print an example."),
    "guard": ("conntap.cli.guard", "guard", "Hold a live gateway to a policy for expectations."),
    "doctor": ("conntap.cli.doctor", "doctor", "See whether the kernel's settings and counters are fine."),
    "conntrack": ("conntap.cli.conntrack", "conntrack", "Be the `conntrack` command."),
    "lab": ("conntap.cli.lab", "lab", "Run real traffic through a gateway made of namespaces."),
    "demo": ("conntap.cli.demo", "demo", "Watch an FTP download through a masquerading gateway."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads a command's file only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        module, attribute, _ = COMMANDS[cmd_name]
        return getattr(import_module(module), attribute)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            advice = f", did you mean '{close[0]}'?" if close else ": conntap --help lists them"
            raise click.UsageError(f"there is no command '{args[0]}'{advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


def print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version, which only the core knows."""
    if value and not ctx.resilient_parsing:
        from conntap._core import __version__

        click.echo(f"conntap {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples: conntap watch 'tcp and dport 22' · conntap list nat · conntap expect --watch",
)
@click.option("--debug", is_flag=True, help="Show tracebacks, and samples of what could not be read.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Tap Linux connection tracking: connections, NAT and helper expectations, live."""
    io: IO = ctx.obj
    io.debug = io.debug or debug
    if ctx.invoked_subcommand is None:
        io.say(ctx.get_help())
        ctx.exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `conntap` and return its exit code. Called through a link named conntrack it is that command."""
    if arguments is None:
        if os.path.basename(sys.argv[0]) == "conntrack":
            from conntap.dropin import main as dropin

            return dropin()
        arguments = sys.argv[1:]
    io = IO.of_process()
    code = run(list(arguments), io)
    try:
        if io.stuck:
            drop_stdout()
        sys.stdout.flush()
    except BrokenPipeError:
        drop_stdout()
    except OSError as error:
        drop_stdout()
        io.say(f"conntap: writing the output: {error.strerror}")
        return 1
    return code


def drop_stdout() -> None:
    """Let what is still buffered go nowhere: the interpreter would flush it at its end, and fail or wait for ever."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: list[str], io: IO) -> int:
    """Run one command line; every way out ends here."""
    from conntap.errors import ConntapError

    try:
        if "_CONNTAP_COMPLETE" in os.environ:
            cli.main(arguments, prog_name="conntap", complete_var="_CONNTAP_COMPLETE")
        # Not `cli.main`: a closed pipe is status 1 there.
        with cli.make_context("conntap", arguments, obj=io) as ctx:
            result: Any = cli.invoke(ctx)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "conntap"
        io.say(f"{command}: {words_of(error)}")
        io.say(f"hint: {command} --help")
        return 2
    except click.ClickException as error:
        io.say(f"conntap: {error.format_message()}")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        return 0
    except ConntapError as error:
        show_traceback(io)
        tell(error, io)
        return error.exit_code
    except OSError as error:
        show_traceback(io)
        io.say(f"conntap: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}")
        return 1
    except Exception as error:
        show_traceback(io)
        io.say(f"conntap: this is a bug: {type(error).__name__}: {error}")
        io.say("hint: conntap --debug shows where; please report it with the command that you typed")
        return 1


def show_traceback(io: IO) -> None:
    """With --debug: where the error that is being handled came from."""
    if io.debug:
        import traceback

        traceback.print_exc(file=io.err)


def words_of(error: click.UsageError) -> str:
    """Click's message in our manner: lower case, no full stop, the likely word behind a comma."""
    if isinstance(error, click.NoSuchOption):
        close = error.possibilities or []
        advice = f", did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
        return f"there is no option '{error.option_name}'{advice}"
    text = error.format_message().rstrip(".")
    return text[:1].lower() + text[1:]


def tell(error: ConntapError, io: IO) -> None:
    """Write an error as one line, a caret under a filter's fault, and what to do."""
    from conntap.errors import FilterError

    io.say(f"conntap: {error}")
    if isinstance(error, FilterError):
        io.say(f"  {error.text}")
        io.say(f"  {' ' * error.at}{'^' * max(1, error.length)}")
    if error.hint:
        io.say(f"hint: {error.hint}")
