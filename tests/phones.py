"""Phones that post numbered states and never give up, and the account that the home's journal has to give of them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from tests.rig import Rig

__all__ = ["IDS", "QUICK", "SOON", "Phones", "Post", "account", "under_load"]

IDS = tuple(f"phone:{number}" for number in range(4))
QUICK = {"answer_within": 1.0}  # options of a gateway whose phones do not wait long
SOON = {"backoff_most_own": 1.0}  # options of a link that has no better things to do

RETRIED = frozenset({429, 500, 502, 503, 504})
ANSWER_WITHIN = 15.0
AGAIN_AFTER = 0.05  # as a phone waits before it tries again


class Post(msgspec.Struct, kw_only=True):
    """One state that a phone told: under one Idempotency-Key until it was answered 2xx. Times are monotonic seconds."""

    external_id: str
    value: int
    key: str
    sent_at: float  # the first time
    answered_at: float = 0.0
    receipts: list[dict[str, Any]] = msgspec.field(default_factory=list)  # 2xx only
    statuses: list[int] = msgspec.field(default_factory=list)
    lost: int = 0  # tries without an answer


class Phones:
    """Posts to some external ids, ``each`` phones to each of them, one post at a time each; values grow by one."""

    def __init__(self, rig: Rig, external_ids: Sequence[str], *, each: int = 4, url: str | None = None) -> None:
        self._rig = rig
        self._url = f"{url or rig.url}/v1/api/device/state/{rig.key}"
        self._external_ids = [external_id for external_id in external_ids for _ in range(each)]
        self._values = dict.fromkeys(external_ids, 0)
        self._stopped = asyncio.Event()
        self.posts: list[Post] = []
        self.answered = asyncio.Condition()
        self.answers: Counter[int] = Counter()

    async def run(self) -> None:
        """Post until ``stop``; every post that was begun is answered before this returns."""
        timeout = aiohttp.ClientTimeout(ANSWER_WITHIN)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http,
            asyncio.TaskGroup() as group,
        ):
            for external_id in self._external_ids:
                group.create_task(self._phone(http, external_id))

    def stop(self) -> None:
        """Let each phone end with the post that it is at."""
        self._stopped.set()

    async def some(self, count: int, *statuses: int) -> None:
        """Return when so many more posts were answered so: 200 delivered, 202 held; either by default."""
        among = statuses or (200, 202)
        wanted = sum(self.answers[status] for status in among) + count
        async with asyncio.timeout(60), self.answered:
            await self.answered.wait_for(lambda: sum(self.answers[status] for status in among) >= wanted)

    def told(self) -> str:
        """Return in numbers what the phones went through."""
        statuses = Counter(status for post in self.posts for status in post.statuses)
        lost, twice = (sum(post.lost for post in self.posts), sum(one.receipts[0]["duplicate"] for one in self.posts))
        return f"{len(self.posts)} posts: answers {dict(statuses)}, {lost} tries lost, {twice} answered as duplicates"

    async def _phone(self, http: aiohttp.ClientSession, external_id: str) -> None:
        while not self._stopped.is_set():
            self._values[external_id] += 1
            post = Post(
                external_id=external_id,
                value=self._values[external_id],
                key=str(uuid.uuid4()),
                sent_at=time.monotonic(),
            )
            self.posts.append(post)
            while not post.receipts:
                await self._try(http, post)
            async with self.answered:
                self.answers[post.statuses[-1]] += 1
                self.answered.notify_all()

    async def _try(self, http: aiohttp.ClientSession, post: Post) -> None:
        body = {"device_feature_external_id": post.external_id, "state": post.value}
        try:
            async with http.post(self._url, json=body, headers={"Idempotency-Key": post.key}) as answer:
                told = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            post.lost += 1
            await asyncio.sleep(AGAIN_AFTER)
            return
        post.statuses.append(answer.status)
        if answer.status in {200, 202}:
            post.answered_at = time.monotonic()
            post.receipts.append(told)
            return
        assert answer.status in RETRIED, (answer.status, told)
        await asyncio.sleep(AGAIN_AFTER)


@asynccontextmanager
async def under_load(rig: Rig, *, url: str | None = None) -> AsyncIterator[Phones]:
    """Let phones post; at the end both ends are up, nothing is held, and the journal must account for every post."""
    phones = Phones(rig, IDS, url=url)
    async with asyncio.TaskGroup() as group:
        group.create_task(phones.run())
        await phones.some(20)
        yield phones
        phones.stop()
    await rig.connected()
    await rig.drained()
    print(phones.told())  # noqa: T201 - shown when the test fails, and with -s
    account(rig, phones.posts)


def account(rig: Rig, posts: Sequence[Post]) -> None:
    """Hold the home's journal against what the phones were answered; call it when nothing is held any more.

    Raises:
        AssertionError: an event is missing, was journaled or applied twice, was invented, or came out of order.
    """
    ids = {post.receipts[0]["id"]: post for post in posts}
    assert len(ids) == len(posts), "two posts share an event"
    journal = rig.rows(
        rig.journal, "SELECT seq, id, external_id, value FROM events WHERE origin = 'gateway' ORDER BY seq"
    )
    came = [row[1] for row in journal]
    missing, invented = sorted(set(ids) - set(came)), sorted(set(came) - set(ids))
    assert not missing, f"{len(missing)} of {len(ids)} answered 2xx never came, such as {missing[:3]}"
    assert not invented, f"{len(invented)} came that nobody was answered for, such as {invented[:3]}"
    assert len(came) == len(set(came))
    for _, event_id, external_id, value in journal:
        assert (external_id, value) == (ids[event_id].external_id, ids[event_id].value), event_id
    _in_order([ids[event_id] for event_id in came])
    _applied_once(rig, journal)


def _in_order(journal: Sequence[Post]) -> None:
    """Check that what was answered before another was sent comes before it, among those of one external id."""
    newest: dict[str, Post] = {}
    for post in journal:
        before = newest.setdefault(post.external_id, post)
        assert post is before or post.answered_at >= before.sent_at, (
            f"{post.external_id}: {post.value} was answered before {before.value} was sent, and came after it"
        )
        if post.sent_at > before.sent_at:
            newest[post.external_id] = post


def _applied_once(rig: Rig, journal: Sequence[tuple[Any, ...]]) -> None:
    """Check that the virtual features' history has each event once, and that the last one is their value."""
    history = rig.rows(
        rig.journal,
        "SELECT h.event, f.external_id, h.value FROM history h JOIN features f ON f.id = h.feature ORDER BY h.event",
    )
    assert history == [(seq, external_id, value) for seq, _, external_id, value in journal]
    last = {external_id: value for _, _, external_id, value in journal}
    values = dict(rig.rows(rig.journal, "SELECT external_id, value FROM features WHERE value IS NOT NULL"))
    assert values == last
