"""What an audit says, shown: a rule set on the real kernel, between hosts that talk and one that nobody asked.

    proof = prove(gateway, find_sides(gateway))
    for line in picture.picture(proof): …

Needs what the lab needs: root, or user namespaces. Nothing of the machine's own network is touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conntap.lab.prove.model import Cell, Proof, Row, Way
    from conntap.lab.prove.run import prove

__all__ = ["Cell", "Proof", "Row", "Way", "prove"]


def __getattr__(name: str) -> object:
    """Load the module of a public name on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'conntap.lab.prove' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"conntap.lab.prove.{'run' if name == 'prove' else 'model'}"), name)
