"""The REST API of the home Gladys, at the one address that ``[gladys]`` names and nowhere else.

What comes back is bounded, timed and typed; what goes wrong comes out as ``Unavailable``, ``AuthError`` or
``Rejected``, with a sentence that says what to do. Source: ``server/api`` of Gladys Assistant 4.
"""

from gladys_companion.gladys_api._client import GladysApi, open_api
from gladys_companion.gladys_api._errors import judged
from gladys_companion.gladys_api._messages import (
    GladysArea,
    GladysDevice,
    GladysFeature,
    GladysHouse,
    GladysMessage,
    GladysScene,
    GladysUser,
    Listing,
    Some,
    moment,
)
from gladys_companion.gladys_api._wire import check

__all__ = [
    "GladysApi",
    "GladysArea",
    "GladysDevice",
    "GladysFeature",
    "GladysHouse",
    "GladysMessage",
    "GladysScene",
    "GladysUser",
    "Listing",
    "Some",
    "check",
    "judged",
    "moment",
    "open_api",
]
