"""H.323: registration with a gatekeeper (RAS), call signalling (Q.931) and channel control (H.245), one helper each.

RAS announces calls, a call announces its H.245 connection, H.245 announces media; `H245` has no port of its own.
Off unless asked for: messages of any host choose what is expected.
"""

from __future__ import annotations

from conntap.helpers.h323_h245 import H245
from conntap.helpers.h323_q931 import Q931
from conntap.helpers.h323_ras import Ras

__all__ = ["H245", "Q931", "Ras"]
