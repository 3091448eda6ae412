"""Between Gladys and Gladys Plus: what passes through the companion unchanged, and what is taken on the way."""

from gladys_companion.inline.relay import Relay
from gladys_companion.inline.run import Inline, open_inline
from gladys_companion.inline.target import InlineTarget

__all__ = ["Inline", "InlineTarget", "Relay", "open_inline"]
