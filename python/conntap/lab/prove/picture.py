"""A proof as text: the matrix, and how each knock that arrived came through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.lab.prove.model import Cell, Proof, Row, Step, Who

__all__ = ["picture"]

COLUMNS: Final[tuple[tuple[str, Who, bool], ...]] = (
    ("server, low port", "server", True),
    ("server, high", "server", False),
    ("third, low", "third", True),
    ("third, high", "third", False),
)
#: Words of the matrix that are coloured.
COLORS: Final = {"OPEN": "\x1b[1;31mOPEN\x1b[0m", "works": "\x1b[32mworks\x1b[0m"}
WORDS: Final = {"open": "OPEN", "anyway": "open anyway", "closed": "closed", None: "-"}


def picture(proof: Proof, *, color: bool = False) -> list[str]:
    """The lines of a proof."""
    if proof.refused:
        return [f"no proof: {proof.refused}"]
    lines: list[str] = []
    ways = list(dict.fromkeys((row.way.outside, row.way.inside, row.way.nfproto) for row in proof.rows))
    for outside, inside, nfproto in ways:
        rows = [
            row
            for row in proof.rows
            if (row.way.outside, row.way.inside, row.way.nfproto) == (outside, inside, nfproto)
        ]
        lines += [
            f"from {outside} to {inside}, IPv{nfproto}",
            *(painted(line) if color else line for line in matrix(rows)),
            "",
        ]
    lines += how(proof)
    if not proof.rows:
        lines.append("no helper is assigned to connections from the inside: there is nothing to play")
    lines += [f"not shown: {text}" for text in proof.cannot]
    return lines


def matrix(rows: list[Row]) -> Iterator[str]:
    """A line per helper."""
    table = [("helper", "honest session", *(title for title, _, _ in COLUMNS))]
    for row in rows:
        name = f"{row.helper} {'tcp' if row.l4proto == 6 else 'udp'}/{row.port}"
        table.append((name, honest(row), *(WORDS[row.outcome(who, low=low)] for _, who, low in COLUMNS)))
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        yield "  " + "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()


def painted(line: str) -> str:
    """A line of the matrix with what matters in colour."""
    for word, painted in COLORS.items():
        line = line.replace(word, painted)
    return line


def honest(row: Row) -> str:
    """Whether the honest sessions work; which do not."""
    cells = [one for one in row.cells if one.who == "friend"]
    failing = [one.session for one in cells if one.outcome != "works"]
    if not failing:
        return "works" if cells else "-"
    return "fails" if len(failing) == len(cells) else f"works, not: {', '.join(failing)}"


def how(proof: Proof) -> Iterator[str]:
    """The knocks that arrived: by what, and by which rules; those that differ in nothing but the port together."""
    alike: dict[tuple[Row, Who, str, tuple[Step, ...]], list[Cell]] = {}
    for row, cell in proof.open:
        alike.setdefault((row, cell.who, cell.session, deciding(cell)), []).append(cell)
    for (row, who, session, steps), cells in alike.items():
        caller = row.way.server if who == "server" else row.way.third
        kind = "tcp" if cells[0].l4proto == 6 else "udp"
        ports = ", ".join(f"{kind}/{port}" for port in sorted({cell.port for cell in cells}))
        yield f"{caller} reached {row.way.host} {ports}: {session} ({cells[0].expectation})"
        for step in steps:
            yield f"    {step.where}: {step.verdict}{f'    {step.text}' if step.text else ''}"


def deciding(cell: Cell) -> tuple[Step, ...]:
    """The rules that said something; a policy that accepts only where nothing else decided last."""
    return tuple(
        step for step in cell.trace if (step.verdict, step.text) != ("accept", "policy") or step is cell.trace[-1]
    )
