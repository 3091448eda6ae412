"""What nothing can beat on this machine: two commits with ``synchronous=FULL`` and three round trips over loopback."""

from __future__ import annotations

import multiprocessing
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

__all__ = ["Floor", "open_floor"]

MESSAGE = b"x" * 300  # about what a post, its relay and their answers measure


def _echo(told: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        told.send(server.getsockname()[1])
        connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while got := connection.recv(4_096):
                connection.sendall(got)


class Floor:
    """Two databases as the two ends have them, and another process that echoes; made by ``open_floor``."""

    def __init__(self, databases: list[sqlite3.Connection], echo: socket.socket) -> None:
        self._databases = databases
        self._echo = echo

    def commit(self) -> None:
        """Commit one row at each end."""
        for database in self._databases:
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO events (body) VALUES (?)", (MESSAGE,))
            database.execute("COMMIT")

    def travel(self) -> None:
        """Make three round trips."""
        for _ in range(3):
            self._echo.sendall(MESSAGE)
            got = 0
            while got < len(MESSAGE):
                got += len(self._echo.recv(4_096))

    def measure(self, count: int) -> list[float]:
        """Return the milliseconds of each of so many times both."""
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self.travel()
            self.commit()
            took.append((time.perf_counter() - began) * 1000)
        return took


@contextmanager
def open_floor(directory: Path) -> Iterator[Floor]:
    """Give the floor, with its files in a directory on the disk that is measured."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    echo = context.Process(target=_echo, args=(theirs,), daemon=True)
    echo.start()
    databases = []
    for name in ("floor-1.db", "floor-2.db"):
        database = sqlite3.connect(directory / name, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, body BLOB)")
        databases.append(database)
    with (
        socket.create_connection(("127.0.0.1", ours.recv())) as connection,
        closing(databases[0]),
        closing(databases[1]),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Floor(databases, connection)
    echo.join()
