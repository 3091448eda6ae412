"""The outbound connection to the gateway: pairing, the loop that keeps it, and what one session does."""

from gladys_companion.link.loop import Link, LinkState, tls_context
from gladys_companion.link.pairing import Pairing

__all__ = ["Link", "LinkState", "Pairing", "tls_context"]
