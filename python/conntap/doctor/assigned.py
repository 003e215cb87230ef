"""Helpers that nftables has objects for: what rules can assign. Which rules do, and to whom, is for the audit.

Only objects are asked for, not rules: a rule set may hold a hundred thousand.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from conntap.doctor.model import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.doctor.reading import Reading

__all__ = ["HelperObject", "NftError", "helper_objects", "look", "parse"]

#: An answer that takes longer is given up.
SECONDS: Final = 0.15


class NftError(Exception):
    """nft is missing, refuses, or says what is no JSON."""


class HelperObject(NamedTuple):
    """A `ct helper` object: in which table, its name, the helper, and for which transport."""

    table: str
    name: str
    helper: str
    protocol: str


def helper_objects() -> tuple[HelperObject, ...]:
    """Those of the calling thread's namespace.

    Raises:
        NftError: they cannot be had.
    """
    tables = [f"{row['family']} {row['name']}" for row in _rows(_nft("list tables"), "table")]
    if not tables:
        return ()
    return parse(_nft("; ".join(f"list ct helpers table {table}" for table in tables)))


def parse(text: str) -> tuple[HelperObject, ...]:
    """Objects out of nft's answers, each of which is a JSON object on a line.

    Raises:
        NftError: it is no JSON.
    """
    return tuple(
        HelperObject(f"{row['family']} {row['table']}", row["name"], row["type"], row.get("protocol", ""))
        for row in _rows(text, "ct helper")
    )


def _rows(text: str, kind: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        try:
            items: Any = json.loads(line)["nftables"]
            found += [cast("dict[str, str]", item[kind]) for item in items if kind in item]
        except (ValueError, KeyError, TypeError) as error:
            raise NftError("what 'nft -j' says cannot be read") from error
    return found


def _nft(command: str) -> str:
    """Ask nft; the child is in this thread's namespace.

    Raises:
        NftError: it is missing, or fails.
    """
    import subprocess  # only here: it costs ten milliseconds

    from conntap.programs import find

    program = find("nft")
    if program is None:
        raise NftError("nft is not installed")
    try:
        done = subprocess.run(
            [program, "-j", command], capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise NftError(f"nft did not answer within {SECONDS * 1e3:.0f} ms") from error
    except OSError as error:
        raise NftError(f"nft could not be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise NftError(f"nft: {said or f'exit status {done.returncode}'}")
    return done.stdout.decode(errors="replace")


def look(seen: Reading) -> Iterator[Entry]:
    """Which helpers rules can assign."""
    if seen.helpers is None:
        return
    names = sorted({one.helper for one in seen.helpers})
    places = ", ".join(f"{one.helper} for {one.protocol} in {one.table}" for one in seen.helpers[:5])
    more = f" and {len(seen.helpers) - 5:,} more" if len(seen.helpers) > 5 else ""
    yield Entry(
        group="helpers", name="helpers in nftables", value=", ".join(names) or "none", number=len(names), level="fine",
        what="helpers that rules of nftables can assign",
        why=f"{places}{more}; conntap audit tells to whom" if names else "no rule of nftables can assign one",
        source="net/netfilter/nft_ct.c, nft_ct_helper_obj_init",
    )  # fmt: skip
