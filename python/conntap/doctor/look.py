"""All that the doctor has to say of a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.doctor import assigned, losses, machine, modules, settings, table
from conntap.doctor import listeners as listening
from conntap.doctor.model import GROUPS, Report

if TYPE_CHECKING:
    from conntap.doctor.reading import Reading

__all__ = ["look"]


def look(seen: Reading) -> Report:
    """Judge a reading."""
    entries = [
        *table.look(seen),
        *losses.look(seen),
        *listening.look(seen),
        *settings.look(seen),
        *machine.look(seen),
        *assigned.look(seen),
        *modules.look(seen),
    ]
    order = list(GROUPS)
    return Report(tuple(sorted(entries, key=lambda entry: order.index(entry.group))), seen.unseen)
