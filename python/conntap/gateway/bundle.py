"""A gateway in one file: a tar of its texts, to be audited elsewhere.

`README` in it says what it holds and that addresses are in it: none is left out, for the audit needs them. Reading
trusts nothing: only plain files with the names of `TEXTS` are taken, and no more bytes than such a text can have.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Final

from conntap.errors import ConntapError, UsageError
from conntap.gateway.state import TEXTS, Gateway

if TYPE_CHECKING:
    import os

__all__ = ["is_bundle", "read_bundle", "write_bundle"]

#: More than any text of a gateway with 100,000 rules.
MAX_TEXT: Final = 256 << 20
MAX_MEMBERS: Final = 64
MISSING: Final = "missing"
README: Final = "README"

ABOUT: Final = """What `conntap audit --collect` read of a gateway; `conntap audit FILE` audits it anywhere.
It holds the rule sets with all their addresses, interfaces, routes, kernel settings and module parameters.
No traffic, no connections.

{texts}
{missing}"""


def write_bundle(gateway: Gateway, path: str | os.PathLike[str]) -> None:
    """Write a gateway's texts as a tar.

    Raises:
        OSError: the file cannot be written.
    """
    lines = "".join(f"missing  {name}: {why}\n" for name, why in sorted(gateway.missing.items()))
    members = {
        README: ABOUT.format(
            texts="".join(f"{name}  {TEXTS.get(name, '')}\n" for name in sorted(gateway.texts)), missing=lines
        ),
        MISSING: "".join(f"{name}\t{' '.join(why.split())}\n" for name, why in sorted(gateway.missing.items())),
        **dict(sorted(gateway.texts.items())),
    }
    with tarfile.open(path, "w") as tar:
        for name, text in members.items():
            data = text.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))


def is_bundle(head: bytes) -> bool:
    """Tell a tar by its first 512 bytes."""
    return head[257:262] == b"ustar"


def read_bundle(path: str | os.PathLike[str]) -> Gateway:
    """Read what `write_bundle` wrote.

    Raises:
        UsageError: it is no bundle, or holds what no bundle has: links, devices, other names, huge members.
        OSError: it cannot be read.
    """
    texts: dict[str, str] = {}
    missing: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for count, member in enumerate(tar):
                if count >= MAX_MEMBERS:
                    raise refused(path, f"it has more than {MAX_MEMBERS} members")
                check(path, member)
                taken = tar.extractfile(member)
                data = taken.read(MAX_TEXT + 1) if taken is not None else b""
                if len(data) != member.size:
                    raise refused(path, f"'{member.name}' ends early")
                text = data.decode(errors="replace")
                if member.name == MISSING:
                    missing = dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)
                elif member.name != README:
                    texts[member.name] = text
    except tarfile.TarError as error:
        raise refused(path, str(error)) from error
    if not texts:
        raise refused(path, "it holds no text of a gateway")
    return Gateway(texts, missing)


def check(path: str | os.PathLike[str], member: tarfile.TarInfo) -> None:
    """Refuse a member that no bundle has."""
    if not member.isreg():
        raise refused(path, f"'{member.name}' is no plain file")
    if member.name not in TEXTS and member.name not in (README, MISSING):
        raise refused(path, f"'{member.name}' is none of a gateway's texts")
    if member.size > MAX_TEXT:
        raise refused(path, f"'{member.name}' has {member.size:,} bytes, more than {MAX_TEXT:,}")


def refused(path: str | os.PathLike[str], why: str) -> ConntapError:
    return UsageError(
        f"{path}: this is no bundle of a gateway: {why}", hint="conntap audit --collect FILE.tar makes one"
    )
