"""`conntap.ledger(path)`: asks a ledger on disk, also while a logger writes it.

ledger = conntap.ledger("/var/lib/conntap")
answer = ledger.who("203.0.113.7", 50510, "tcp", at="2026-11-02 14:03:11")
for found in answer.candidates:
    print(found.host, found.start_ns, found.stop_ns)
polars.DataFrame(ledger.flows("tcp and dport 443", between=("-1h", "now")).arrow())
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from conntap import _core
from conntap.errors import ConntapError, UsageError
from conntap.filter import as_filter
from conntap.store import duck
from conntap.store.catalog import FOREVER_NS, Catalog, Gap, is_running
from conntap.store.overlay import Overlay, Source, of_journal
from conntap.store.times import duration_ns, to_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta

    from conntap.store.answer import Answer
    from conntap.store.catalog import Segment
    from conntap.store.times import Moment
    from conntap.store.who import Question

__all__ = ["Ledger", "Result", "ledger"]

#: Clocks of two machines that both follow NTP differ by less.
SKEW = "1s"


def ledger(path: str | os.PathLike[str]) -> Ledger:
    """Open the ledger in directory *path* for questions.

    Raises:
        UsageError: there is none.
    """
    return Ledger(path)


class Result:
    """Rows that a question found. Each use asks anew.

    `polars.DataFrame(result.arrow())`, `pyarrow.table(…)`, pandas and duckdb take it.

    Attributes:
        withheld: what the answer just given leaves out, for privacy or because it is damaged, in words; "" for nothing.
    """

    def __init__(
        self,
        held: Ledger,
        sql: str,
        within: tuple[int | None, int | None] = (None, None),
        where: _core.Filter | None = None,
    ) -> None:
        self._ledger = held
        self._sql = sql
        self._within = within
        self._where = where
        self.withheld = ""

    def _connect(self) -> Session:
        session = self._ledger.connect(self._within, self._where)
        self.withheld = session.withheld
        return session

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows as dictionaries, names as in docs/fields.md."""
        names, rows = self.fetch()
        yield from (dict(zip(names, row)) for row in rows)

    def fetch(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names of the columns, and all rows."""
        with self._connect() as session:
            found = session.execute(self._sql)
            return [column[0] for column in found.description or ()], found.fetchall()

    def arrow(self) -> Any:
        """All rows as an Arrow table (arro3); no Arrow library but that is needed."""
        from arro3.core import Table

        with self._connect() as session:
            return Table.from_arrow(session.connection.sql(self._sql))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.arrow().__arrow_c_stream__(requested_schema)

    def write_parquet(self, path: str) -> int:
        """Write all rows to a Parquet file, and say how many these are."""
        with self._connect() as session:
            found = session.execute(f"COPY ({self._sql}) TO {duck.text(path)} (FORMAT parquet, COMPRESSION zstd)")
            return int(found.fetchone()[0])


class Session:
    """A database with the ledger's views; `with` closes it.

    Attributes:
        withheld: what its views leave out, for privacy or because it is damaged, in words; "" for nothing.
    """

    def __init__(self, connection: Any, overlay: Overlay, damaged: list[str]) -> None:
        self.connection = connection
        lacking = f"damaged and left out: {', '.join(damaged)} (conntap ledger verify tells more)" if damaged else ""
        self.withheld = "; ".join(filter(None, (overlay.withheld, lacking)))
        self._overlay = overlay

    def execute(self, sql: str) -> Any:
        """Run SQL.

        Raises:
            UsageError: DuckDB does not understand it, or there is no such column.
            ConntapError: a file cannot be read.
        """
        import duckdb

        try:
            return self.connection.execute(sql)
        except (duckdb.ProgrammingError, duckdb.NotSupportedError, duckdb.DataError) as error:
            raise UsageError(f"sql: {error}") from error
        except duckdb.Error as error:
            raise ConntapError(
                f"reading the ledger: {error}", hint="conntap ledger verify names damaged files"
            ) from error

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database and of what is in memory."""
        self.connection.close()
        self._overlay.close()


class Ledger:
    """A ledger on disk. Reads the manifest anew for each question, so that it may grow meanwhile.

    Attributes:
        path: its directory.
    """

    def __init__(self, path: str | os.PathLike[str], *, overlay: Source | None = None) -> None:
        self.path = os.fspath(path)
        self._overlay = overlay
        self._catalog()  # says now what is wrong with it

    def _catalog(self) -> Catalog:
        return Catalog.read(self.path)

    def _look(self, where: _core.Filter | None = None) -> tuple[Catalog, Overlay]:
        """The segments, and beside them what is in no segment yet."""
        # In this order: a record goes from the journal to a segment, never back, and is told once by its number.
        running = is_running(self.path)
        source = self._overlay or of_journal(self.path)
        held = source() if source is not None else None
        catalog = self._catalog()
        overlay = Overlay(held, after=catalog.last_seq, where=where, privacy=catalog.privacy)
        catalog.extend(overlay, running=running)
        return catalog, overlay

    def who(
        self,
        address: str,
        port: int | None = None,
        proto: str | int | None = None,
        *,
        at: Moment | None = None,
        between: tuple[Moment, Moment] | None = None,
        skew: float | timedelta | str = SKEW,
    ) -> Answer:
        """Who had this address (and port), then?

        Args:
            address: as the world saw it (behind source NAT, or as it was dialled), or else of a host inside.
            port: of ICMP the identifier; None asks for all.
            proto: `tcp`, `udp`, `icmp` … or a number; None asks for all.
            at: the time: nanoseconds since the epoch, a datetime, or text (`2026-11-02 14:03:11`, `-2h`).
            between: two of them instead.
            skew: how far the clocks may differ: seconds, or text.

        Raises:
            UsageError: no address, protocol or time; neither or both of *at* and *between*.
        """
        from conntap.store import who

        now = _core.now_ns()
        if at is not None and between is None:
            first, last = at, at
        elif at is None and between is not None:
            first, last = between
        else:
            raise UsageError("who needs a time: at or between")
        if port is not None and not 0 <= port <= 65_535:
            raise UsageError(f"{port} is no port")
        question = who.Question(
            address=who.parse_address(address),
            port=port,
            l4proto=None if proto is None else who.parse_protocol(proto),
            from_ns=to_ns(first, now_ns=now),
            to_ns=to_ns(last, now_ns=now),
            skew_ns=duration_ns(skew),
        )
        if question.from_ns > question.to_ns:
            raise UsageError("the time ends before it begins", hint="between: the earlier one first")
        answer = self._ask(question)
        if any(not os.path.exists(path) for path in answer.damaged):
            answer = self._ask(question)  # they were compacted meanwhile
        return answer

    def _ask(self, question: Question) -> Answer:
        from conntap.store.who import ask

        catalog, overlay = self._look(_core.Filter(f"host {question.address}"))
        with overlay:
            return ask(
                question,
                catalog,
                overlay.files,
                open_known=overlay.known,
                withheld=overlay.withheld,
                hides=overlay.hides,
            )

    def flows(
        self,
        where: str | _core.Filter = "",
        *,
        between: tuple[Moment | None, Moment | None] = (None, None),
        columns: Iterable[str] | None = None,
    ) -> Result:
        """Records that a filter wants, of connections that lived within two times.

        Args:
            where: a filter (docs/filter.md); what a ledger does not keep raises.
            between: None for no bound.
            columns: names of docs/fields.md; None for all.

        Raises:
            FilterError: it does not parse.
            UsageError: a part of the filter cannot be asked of a ledger; no such column; no time.
        """
        wanted = "*" if columns is None else ", ".join(self.known_columns(columns))
        return self.select(f"SELECT {wanted} FROM flows", where, between=between)

    def known_columns(self, columns: Iterable[str]) -> Iterator[str]:
        """The names themselves.

        Raises:
            UsageError: there is no such column.
        """
        from conntap.store.views import columns_of_flows

        known = columns_of_flows()
        for name in columns:
            if name not in known:
                from difflib import get_close_matches

                close = get_close_matches(name, known, n=1)
                hint = f"did you mean '{close[0]}'?" if close else "docs/query.md lists them"
                raise UsageError(f"there is no column '{name}'", hint=hint)
            yield name

    def select(
        self,
        query: str,
        where: str | _core.Filter = "",
        *,
        between: tuple[Moment | None, Moment | None] = (None, None),
    ) -> Result:
        """A query to a view `flows` that has only what a filter and a time want."""
        from conntap.store.views import flows_select

        compiled = as_filter(where)
        now = _core.now_ns()
        low, high = (None if moment is None else to_ns(moment, now_ns=now) for moment in between)
        parts = [compiled.sql()] if compiled is not None else []
        if high is not None:
            parts.append(f"start_ns <= {high}")
        if low is not None:
            parts.append(f"(start_ns + coalesce(duration_ns, 0) >= {low} OR kind = 3)")
        condition = " AND ".join(parts) or "true"
        body = flows_select(f"(SELECT * FROM records WHERE {condition})")
        return Result(self, f"WITH flows AS ({body})\n{query}", (low, high), compiled)

    def sql(self, query: str) -> Result:
        """Any query over the views `flows`, `records`, `gaps`, `segments`, `decisions` (docs/query.md)."""
        return Result(self, query)

    def init_sql(self) -> str:
        """SQL that makes the views in any DuckDB, on the segments as they are then; what is in none yet is not seen."""
        return self._catalog().init_sql(os.path.abspath(self.path))

    def gaps(self) -> list[Gap]:
        """What the ledger does not know, in order of time."""
        catalog, overlay = self._look(_core.Filter("not flow and not expectation"))
        overlay.close()
        return list(catalog.gaps)

    def segments(self) -> list[Segment]:
        """The files that the ledger consists of."""
        return list(self._catalog().segments)

    def connect(
        self, within: tuple[int | None, int | None] = (None, None), where: _core.Filter | None = None
    ) -> Session:
        """A database in memory with the ledger's views; of what lived within two times if they are given.

        Args:
            where: of what is in no segment yet only these rows.

        Raises:
            ConntapError: duckdb is not installed.
        """
        from conntap.store import decisions, views

        catalog, overlay = self._look(where)
        chosen = [segment for segment in catalog.segments if segment.lived(*within)]
        damaged = [segment for segment in chosen if segment.is_cut]
        files = [segment.path for segment in chosen if segment not in damaged]
        catalog.gaps += [Gap("damage", cut.min_start_ns or 0, cut.max_stop_ns or FOREVER_NS) for cut in damaged]
        session = Session(duck.connect(), overlay, [segment.path for segment in damaged])
        try:
            session.execute(views.MACROS)
            session.execute(views.records_view([*files, *overlay.files]))
            made = (views.flows_view(), catalog.gaps_view(), catalog.segments_view(), decisions.view(self.path))
            for sql in made:
                session.execute(sql)
        except ConntapError:
            session.close()
            raise
        return session
