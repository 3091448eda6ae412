"""The bounds that keep a hostile or broken network harmless, and the pace at which it is asked."""

from msgspec import Struct

__all__ = [
    "HIGHEST_PORT",
    "MOST_ADDRESSES",
    "MOST_FEATURES",
    "MOST_FOUND",
    "MOST_HOST",
    "MOST_NAME",
    "MOST_PER_TYPE",
    "MOST_PLACES",
    "MOST_SERVICES",
    "MOST_TRIES",
    "MOST_TXT_BYTES",
    "MOST_TXT_ENTRIES",
    "Pace",
]

HIGHEST_PORT = 65_535
MOST_SERVICES = 3_000
MOST_PER_TYPE = 1_500
MOST_FOUND = 20_000  # without mDNS, by drivers that ask where the user told them to
MOST_TXT_ENTRIES = 64
MOST_TXT_BYTES = 255
MOST_ADDRESSES = 8
MOST_HOST = 255
MOST_NAME = 200
MOST_FEATURES = 256
MOST_PLACES = 8  # where one device is looked for at a time
MOST_TRIES = 3  # to resolve what does not answer


class Pace(Struct, frozen=True, kw_only=True):
    """How long discovery waits for what, in seconds; tests scale it.

    ``resolve_within``: for the records of an announced name. ``describe_within``: for a device; ``check_within``: for
    one at the place where it was before, when it is announced elsewhere. ``rest``: between two changes of one device.
    ``again``: before a device that changed in place is described again. ``contested``: before one that is announced
    in a new place is looked for again. ``recheck``: while two places claim to be it. ``away_after``: from the last
    goodbye until it counts as away. ``flush``: until a replaced record is really gone (RFC 6762, 10.2: one second).
    ``first_retry`` and ``last_retry`` bound the backoff of a device that does not answer, ``refused_retry`` begins that
    of one which is not what it says. ``rescan``: between two looks at the interfaces, and for what is lost.
    ``ask_anew``: between two questions to all (RFC 6762, 5.2: at least each hour); ``calm``: between two because the
    machine's network changed.
    """

    resolve_within: float = 3.0
    describe_within: float = 10.0
    check_within: float = 3.0
    rest: float = 1.0
    again: float = 30.0
    contested: float = 3.0
    recheck: float = 60.0
    away_after: float = 2.0
    flush: float = 1.5
    first_retry: float = 1.0
    last_retry: float = 300.0
    refused_retry: float = 60.0
    rescan: float = 30.0
    ask_anew: float = 1800.0
    calm: float = 3.0
