"""Phones as a process of their own: keep-alive connections that post states as fast as they are answered.

One thread over non-blocking sockets, without a library, so that what is measured is the other side.
``python -m bench.phones`` reads a ``Load`` as JSON on stdin and prints a ``Loaded``.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import Struct

__all__ = ["Load", "Loaded", "percentile", "post_all"]

GIVE_UP = 30.0  # seconds without any answer


class Load(Struct, frozen=True, kw_only=True):
    """``count`` posts, ``in_flight`` at a time, over the external ids in turn; values count up from ``first``."""

    port: int
    key: str
    external_ids: Sequence[str]
    in_flight: int
    count: int
    first: int = 0


class Loaded(Struct, frozen=True, kw_only=True):
    """How it went: answers by HTTP status, seconds from first post to last answer, milliseconds of each post."""

    statuses: dict[int, int]
    seconds: float
    cpu_seconds: float
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def ms(self, share: float) -> float:
        """Return the milliseconds within which this share of the posts was answered."""
        return percentile(self.latencies, share)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share (0 to 1) of them does not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


class _Phone:
    """One connection with at most one post under way."""

    def __init__(self, load: Load) -> None:
        self.socket = socket.create_connection(("127.0.0.1", load.port), timeout=GIVE_UP)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST /v1/api/device/state/{load.key} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._got = b""
        self.sent_at = 0.0

    def post(self, external_id: str, value: int) -> None:
        body = msgspec.json.encode({"device_feature_external_id": external_id, "state": value})
        self.sent_at = time.perf_counter()
        self.socket.sendall(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))

    def read(self) -> int | None:
        """Return the status once the answer is whole."""
        piece = self.socket.recv(65_536)
        if not piece:
            raise ConnectionError("the gateway closed a connection")
        self._got += piece
        head, blank, body = self._got.partition(b"\r\n\r\n")
        if not blank:
            return None
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        if len(body) < length:
            return None
        self._got = b""
        return int(head[9:12])


def post_all(load: Load) -> Loaded:
    """Post and wait for every answer.

    Raises:
        OSError: the gateway went away, or gave no answer for half a minute.
    """
    phones = [_Phone(load) for _ in range(min(load.in_flight, load.count))]
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    posts = iter(range(load.count))
    with selectors.EpollSelector() as waiting:
        for phone in phones:
            waiting.register(phone.socket, selectors.EVENT_READ, phone)
        began, cpu = time.perf_counter(), time.process_time()
        for phone in phones:
            number = next(posts)
            phone.post(load.external_ids[number % len(load.external_ids)], load.first + number)
        while len(latencies) < load.count:
            ready = waiting.select(GIVE_UP)
            if not ready:
                raise TimeoutError(f"no answer within {GIVE_UP:g} s; {len(latencies)} came before")
            for key, _ in ready:
                phone = key.data
                status = phone.read()
                if status is None:
                    continue
                latencies.append((time.perf_counter() - phone.sent_at) * 1000)
                statuses[status] += 1
                following = next(posts, None)
                if following is not None:
                    phone.post(load.external_ids[following % len(load.external_ids)], load.first + following)
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
    for phone in phones:
        phone.socket.close()
    return Loaded(statuses=dict(statuses), seconds=seconds, cpu_seconds=used, latencies=latencies)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(post_all(msgspec.json.decode(sys.stdin.buffer.read(), type=Load))))
