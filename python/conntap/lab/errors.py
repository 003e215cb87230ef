"""Why a lab could not be built: each error names the missing thing and the remedy."""

from __future__ import annotations

from conntap.errors import ConntapError

__all__ = ["LabError", "MissingProgramError", "NamespaceError", "NetfilterError"]


class LabError(ConntapError):
    """The lab cannot do what was asked; `hint` says what to do about it."""


class MissingProgramError(LabError):
    """A program that the lab runs is not installed."""


class NamespaceError(LabError):
    """The kernel, or what confines us, refuses a new namespace."""


class NetfilterError(LabError):
    """The kernel lacks the part of netfilter that the gateway needs."""
