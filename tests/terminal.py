"""A command in a terminal, as a person has it: what it asks is answered by typing, also where nothing is shown."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.processes import PROGRAM

__all__ = ["Terminal", "terminal"]

PATIENCE = 30.0


class Terminal:
    """A running command; ``screen`` is all that it has shown."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self._process = process
        self._master = master
        self._changed = asyncio.Event()
        self._read_up_to = 0
        self._closed = asyncio.Event()
        self.screen = ""

    def reads(self) -> None:
        """Take what it shows."""
        try:
            data = os.read(self._master, 65_536)
        except OSError as error:
            if error.errno not in {errno.EIO, errno.EAGAIN}:
                raise
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
            self._closed.set()
        self.screen += data.decode(errors="replace").replace("\r\n", "\n")
        self._changed.set()

    async def expect(self, text: str) -> str:
        """Wait until it shows a text, and return what came before it since the last one."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (at := self.screen.find(text, self._read_up_to)) < 0:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"it never showed {text!r}, but: {self.screen[self._read_up_to :]!r}") from None
        before, self._read_up_to = self.screen[self._read_up_to : at], at + len(text)
        return before

    async def answer(self, question: str, text: str) -> None:
        """Type an answer to a question."""
        await self.expect(question)
        os.write(self._master, f"{text}\n".encode())

    async def ended(self) -> int:
        """Return its exit code."""
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    async def closed(self) -> None:
        """Wait until it has shown everything."""
        async with asyncio.timeout(PATIENCE):
            await self._closed.wait()


@asynccontextmanager
async def terminal(*arguments: str) -> AsyncIterator[Terminal]:
    """Run the program with these arguments in a terminal of its own."""
    master, slave = os.openpty()

    def control() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # passwords are asked for at the controlling terminal

    process = await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=control
    )
    os.close(slave)
    os.set_blocking(master, False)
    running = Terminal(process, master)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, running.reads)
    try:
        yield running
    finally:
        loop.remove_reader(master)
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(master)
