"""The table behind the command line: commands, options, and which go together.

Parser, help text, documentation check and shell completions all read these records; a fact about an option is said
here and nowhere else. Protocol options are in `protocols.py`.
"""

from __future__ import annotations

__all__ = ["COLUMNS", "COMMANDS", "OPTIONS", "TABLES", "Option", "column"]

COLUMNS = ("L", "I", "A", "U", "D", "G", "F", "E", "h", "Le", "Ie", "De", "Ge", "Ee")
"""Order of the marks in `Option.commands`; "e" stands for the table of expectations."""

TABLES = ("expect", "conntrack", "dying", "unconfirmed")
"""Names of tables, in the order in which a prefix is tried."""


class Option:
    """One option, or one command letter.

    `commands` has a mark for each of COLUMNS: "." refused, "1" required, "2" allowed, "3" one of two pairs.
    `short_argument` and `long_argument` are "none", "required" or "optional" (attached text only, and dropped; the
    value is the next word). `action` names what the parser does with it.
    """

    __slots__ = ("action", "commands", "help", "letter", "long_argument", "longs", "metavar", "name", "short_argument")

    def __init__(
        self,
        name: str,
        letter: str,
        longs: tuple[str, ...],
        argument: str,
        action: str,
        commands: str,
        metavar: str = "",
        help: str = "",
        short_argument: str | None = None,
    ) -> None:
        self.name = name
        self.letter = letter
        self.longs = longs
        self.long_argument = argument
        self.short_argument = argument if short_argument is None else short_argument
        self.action = action
        self.commands = commands
        self.metavar = metavar
        self.help = help


def column(command: str, table: str) -> str:
    """Return the column of a command letter on a table."""
    return command + "e" if table == "expect" else command


def _command(letter: str, long: str, help: str, argument: str = "optional", short_argument: str = "none") -> Option:
    return Option(long, letter, (long,), argument, "command", "", "", help, short_argument)


COMMANDS = (
    _command("L", "dump", "list entries"),
    _command("G", "get", "show one entry"),
    _command("D", "delete", "delete every entry that matches"),
    _command("I", "create", "create an entry"),
    _command("A", "add", "create an entry, or change it when it exists (conntrack only)"),
    _command("U", "update", "change every entry that matches (conntrack only)"),
    _command("E", "event", "show events as they happen"),
    _command("F", "flush", "empty the table"),
    _command("C", "counter", "show the number of entries", short_argument="optional"),
    _command("S", "stats", "show the kernel's statistics, one line per CPU", "none"),
    _command("h", "help", "show this text; with -p also the options of that protocol", "none"),
    _command("V", "version", "show the version", "none"),
)

# In the order in which the checks run: the first row that is wrong decides the message.
OPTIONS = (
    Option("src", "s", ("orig-src", "src"), "required", "address", "233223.2..111.", "ADDR[/LEN]", "original source"),
    Option("dst", "d", ("orig-dst", "dst"), "required", "address", "233223.2..111.", "ADDR[/LEN]", "its destination"),
    Option("reply-src", "r", ("reply-src",), "required", "address", "233223.2..222.", "ADDR", "source of replies"),
    Option("reply-dst", "q", ("reply-dst",), "required", "address", "233223.2..222.", "ADDR", "destination of replies"),
    Option("protonum", "p", ("protonum",), "required", "protocol", "211221.22.111.", "PROTO", "protocol, e.g. tcp"),
    Option("timeout", "t", ("timeout",), "required", "timeout", ".1122.....1...", "SECONDS", "time until it expires"),
    Option("status", "u", ("status",), "required", "status", "22222.....2...", "WORDS",
           "ASSURED SEEN_REPLY UNSET FIXED_TIMEOUT EXPECTED OFFLOAD HW_OFFLOAD UNREPLIED; ! negates"),
    Option("zero", "z", ("zero",), "none", "flag", "2.............", "", "zero the counters while listing"),
    Option("event-mask", "e", ("event-mask",), "required", "events", ".......2......", "WORDS",
           "ALL NEW UPDATES DESTROY"),
    Option("tuple-src", "[", ("tuple-src",), "required", "address", "..........1...", "ADDR[/LEN]", "expected source"),
    Option("tuple-dst", "]", ("tuple-dst",), "required", "address", "..........1...", "ADDR[/LEN]",
           "expected destination"),
    Option("mask-src", "{", ("mask-src",), "required", "address", "2..22..2..1...", "ADDR", "mask of the source"),
    Option("mask-dst", "}", ("mask-dst",), "required", "address", "2..22..2..1...", "ADDR", "mask of the destination"),
    Option("nat-range", "a", ("nat-range",), "required", "deprecated", ".22...........", "ADDR", "ignored"),
    Option("mark", "m", ("mark",), "required", "mark", "22222..2......", "VALUE[/MASK]", "mark; with -U the new one"),
    Option("secmark", "c", ("secmark",), "required", "number", "2......2......", "VALUE", "security mark"),
    Option("id", "i", ("id",), "required", "number", "...222........", "ID", "identifier of the entry"),
    Option("family", "f", ("family",), "required", "family", "2..22.22.2....", "ipv4|ipv6", "address family"),
    Option("src-nat", "n", ("src-nat",), "optional", "nat", "22222..2......", "[ADDR[:PORT]]", "source NAT"),
    Option("dst-nat", "g", ("dst-nat",), "optional", "nat", "22222..2......", "[ADDR[:PORT]]", "destination NAT"),
    Option("output", "o", ("output",), "required", "output", "2..222.2.2...2", "WORDS",
           "xml extended timestamp id ktimestamp labels userspace save"),
    Option("buffer-size", "b", ("buffer-size",), "required", "buffer", ".......2......", "BYTES",
           "receive buffer for events"),
    Option("any-nat", "j", ("any-nat",), "optional", "nat", "2......2......", "[ADDR[:PORT]]", "NAT of either kind"),
    Option("zone", "w", ("zone",), "required", "number", "222.2..2......", "ZONE", "zone"),
    Option("label", "l", ("label",), "required", "label", "2..222.2......", "NAMES", "labels that must all be set"),
    Option("label-add", "<", ("label-add",), "required", "label", ".222..........", "NAMES", "labels to set"),
    Option("label-del", ">", ("label-del",), "optional", "label", "...2..........", "[NAMES]",
           "labels to clear, or all"),
    Option("orig-zone", "(", ("orig-zone",), "required", "number", "222.2..2......", "ZONE",
           "zone of the original direction"),
    Option("reply-zone", ")", ("reply-zone",), "required", "number", "222.2..2......", "ZONE",
           "zone of the reply direction"),
    Option("labelmap", "M", ("labelmap",), "required", "labelmap", "2..22..2......", "FILE",
           "names of labels (default /etc/xtables/connlabel.conf)"),
)  # fmt: skip
