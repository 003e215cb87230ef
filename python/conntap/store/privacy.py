"""What a ledger does not tell: the settings of privacy as a segment builder takes them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from conntap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv6Address

__all__ = ["PrivacyLike", "options", "words"]


class PrivacyLike(Protocol):
    """`conntap.config.PrivacyConfig`, or anything like it."""

    @property
    def no_destination(self) -> bool: ...
    @property
    def truncate_inside(self) -> tuple[int, int] | None: ...
    @property
    def hash_key_file(self) -> str | None: ...


def options(privacy: PrivacyLike | None, inside: Iterable[str] = ()) -> dict[str, Any]:
    """Arguments for `_core.SegmentBuilder`.

    Args:
        privacy: None: everything is told.
        inside: networks that are inside besides all that NAT hides ("10.0.0.0/8").

    Raises:
        UsageError: the key cannot be read or is short; no network.
    """
    made: dict[str, Any] = {"networks": [network(text) for text in inside]}
    if privacy is not None:
        made["no_destination"] = privacy.no_destination
        made["truncate"] = privacy.truncate_inside
        if privacy.hash_key_file is not None:
            made["key"] = read_key(privacy.hash_key_file)
    return made


def network(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    from ipaddress import ip_network

    try:
        found = ip_network(text.strip())
    except ValueError as error:
        raise UsageError(f"'{text}' is no network: {error}", hint="say 10.0.0.0/8 or fd00::/8") from error
    return found.network_address, found.prefixlen


def read_key(path: str) -> bytes:
    """The key for pseudonyms: made of all bytes of the file.

    Raises:
        UsageError: it cannot be read, or is so short that it can be guessed.
    """
    try:
        data = Path(path).read_bytes().strip()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if len(data) < 16:
        raise UsageError(
            f"{path}: a key of {len(data)} bytes can be guessed", hint="head -c 32 /dev/urandom | base64 > KEYFILE"
        )
    return hashlib.sha256(b"conntap inside addresses\0" + data).digest()[:16]


def words(made: dict[str, Any]) -> str:
    """The settings as a footer tells them; the key is not in it."""
    told = ["no_destination"] if made.get("no_destination") else []
    if (bits := made.get("truncate")) is not None:
        told.append(f"truncate_inside={bits[0]}/{bits[1]}")
    if made.get("key") is not None:
        told.append("hash_inside")
    return " ".join(told)
