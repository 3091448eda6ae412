"""The one broker that ``[mqtt]`` names, for every plug-in that needs it: each keeps a connection of its own.

What is published is acknowledged by the broker; what ends with the connection says so and leaves nothing behind.
"""

from aiomqtt import Message

from gladys_companion.mqtt._client import BrokerClient
from gladys_companion.mqtt._connection import Connection, Hear, check

__all__ = ["BrokerClient", "Connection", "Hear", "Message", "check"]
