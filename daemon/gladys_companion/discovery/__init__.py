"""Discovery: what announces itself on the network becomes devices in the registry, wherever they are now.

A device appears, changes its address, leaves (marked, not forgotten) and returns under its own name. An announcement
is a claim, not a fact: a driver verifies it where it says to be, and whoever was verified first keeps the identity.
"""

from gladys_companion.discovery.limits import Pace
from gladys_companion.discovery.network import Mdns, open_mdns
from gladys_companion.discovery.run import Discovery, Seen

__all__ = ["Discovery", "Mdns", "Pace", "Seen", "open_mdns"]
