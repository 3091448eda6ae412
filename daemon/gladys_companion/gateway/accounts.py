"""What people do with homes, instances and keys: the same for the running gateway and for a command line without one.

What names its home is looked for there only; what does not is looked for in all of them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.errors import AuthError, RequestError
from gladys_companion.gateway import keys
from gladys_companion.gateway._names import Revocable, checked_name, fresh_name, pick, pick_live
from gladys_companion.gateway.keys import SCOPES, Issued
from gladys_companion.gateway.storage import HeldTotal, Home, Instance, Key, PairCode, Storage
from gladys_companion.gateway.tokens import AccessTokens
from gladys_companion.ids import new_id

__all__ = ["REVOKE_WARNING", "Accounts", "Paired"]

R = TypeVar("R", bound=Revocable)

REVOKE_WARNING = (
    "The key is refused from now on. An iPhone deletes what it cannot deliver: "
    "positions that OwnTracks still holds there are lost unless it gets a new key first."
)


class Paired(Struct, frozen=True, kw_only=True):
    """A new instance. ``primary`` says whether the home's messages go to it."""

    home: Home
    instance: Issued[Instance]
    primary: bool


async def _nobody(_home_id: str, _event: str) -> None:
    """Tell nobody: no gateway runs."""


class Accounts:
    """The operations; the ``storage``, ``clock`` and ``tokens`` are there for those of logins.

    Args:
        storage: what they change.
        clock: wall time.
        changed: is told the home whose instances, primary or own existence are not as before.
        tell: sends the instances of a home that are connected an event without arguments.
        is_connected: says whether an instance is connected now.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock = SYSTEM,
        *,
        changed: Callable[[str], None] = lambda _: None,
        tell: Callable[[str, str], Awaitable[None]] = _nobody,
        is_connected: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.storage = self._storage = storage
        self.clock = self._clock = clock
        self.tell = tell
        self._changed = changed
        self.is_connected = is_connected
        self._began = clock.now()
        self.tokens = AccessTokens(storage.signing_secret(), clock)
        self._changing = asyncio.Lock()  # what is read, changed and written back is not changed by another meanwhile

    # Homes

    def homes(self) -> Sequence[Home]:
        """Return all homes."""
        return self._storage.homes()

    def home(self, named: str | None = None) -> Home:
        """Return the home of that id or name; None: the only one.

        Raises:
            RequestError: 404 ``HOME_NOT_FOUND``, 409 ``AMBIGUOUS``.
        """
        homes = self._storage.homes()
        if named is not None:
            return pick(homes, named, "home")
        if len(homes) == 1:
            return homes[0]
        if not homes:
            raise RequestError(404, "HOME_NOT_FOUND", "There is no home yet: make one with gateway home create NAME.")
        names = ", ".join(home.name for home in homes[:5])
        raise RequestError(
            409, "AMBIGUOUS", f"There are {len(homes)} homes ({names}): say which with --home, or as HOME."
        )

    async def held(self) -> Mapping[str, HeldTotal]:
        """Return what is held, by the id of the home (keys added up, and left empty)."""
        await self._storage.flush()
        totals: dict[str, HeldTotal] = {}
        for one in await self._storage.held_totals():
            so_far = totals.get(one.home_id, HeldTotal(one.home_id, "", 0, 0))
            totals[one.home_id] = HeldTotal(one.home_id, "", so_far.events + one.events, so_far.bytes + one.bytes)
        return totals

    async def create_home(self, name: str, user_name: str = "") -> Home:
        """Make a home with its one user."""
        async with self._changing:
            home = Home(
                id=new_id(),
                name=fresh_name(name, self._storage.homes()),
                user_id=new_id(),
                user_name=checked_name(user_name) if user_name else "Home",
                created_at=self._clock.now(),
            )
            await self._storage.put_home(home)
        return home

    async def link_user(
        self,
        home: str | None,
        gladys_user_id: str | None,
        rsa_public_key: str | None = None,
        ecdsa_public_key: str | None = None,
        *,
        name: str | None = None,
    ) -> Home:
        """Say who the home's user is in its Gladys: an unmodified one needs that to take positions.

        The public keys (JWK, as JSON) are of a dashboard that reads what Gladys encrypts for that user.
        """
        async with self._changing:
            found = self.home(home)
            changed = replace(
                found,
                user_name=found.user_name if name is None else checked_name(name),
                gladys_user_id=gladys_user_id,
                rsa_public_key=rsa_public_key,
                ecdsa_public_key=ecdsa_public_key,
            )
            await self._storage.put_home(changed)
        return changed

    async def remove_home(self, named: str) -> Home:
        """Remove a home with all that is its own, held events too."""
        async with self._changing:
            home = self.home(named)
            await self._storage.remove_home(home.id)
        self._changed(home.id)
        return home

    async def set_primary(self, home: str | None, instance: str) -> Home:
        """Let the home's messages go to this instance."""
        async with self._changing:
            found = self._one(home, instance, self._storage.instances, "instance")
            changed = replace(self.home(found.home_id), primary_instance=found.id)
            await self._storage.put_home(changed)
        self._changed(changed.id)
        return changed

    # Instances

    def instances(self, home: str | None = None) -> Sequence[Instance]:
        """Return the instances of a home, revoked ones too."""
        return self._storage.instances(self.home(home).id)

    async def pair_code(self, home: str | None = None) -> Issued[PairCode]:
        """Make a code that an instance of the home can be paired with; the earlier one ends."""
        issued = keys.new_pair_code(self.home(home).id, self._clock.now())
        await self._storage.put_pair_code(issued.value)
        return issued

    async def pair(self, code: str, name: str) -> Paired:
        """Make an instance of the home whose code it is.

        It becomes the primary one if there is none, or if that was away already when the code was made: whoever made
        the code meant this one to take its place.

        Raises:
            RequestError: 403 ``PAIRING_REFUSED``, the same whether the code is wrong, spent or too old.
        """
        checked = checked_name(name)
        now = self._clock.now()
        async with self._changing:
            taken = await self._storage.take_pair_code(*keys.read_code(code), now)
            home = self._storage.home(taken.home_id) if taken else None
            if taken is None or home is None:
                raise RequestError(
                    403,
                    "PAIRING_REFUSED",
                    "This code is wrong, spent or older than 10 minutes: make another with gateway home pair-code.",
                )
            instance = Instance(id=new_id(), home_id=home.id, name=checked, created_at=now)
            made = await self._add(home, instance, taken.expires_at - keys.CODE_LASTS)
        self._changed(home.id)
        return made

    async def create_instance(self, home_id: str, name: str, rsa_public_key: str, ecdsa_public_key: str) -> Paired:
        """Make the instance of a Gladys whose user is logged in; it becomes the primary one if that is away now."""
        async with self._changing:
            now = self._clock.now()
            instance = Instance(
                id=new_id(),
                home_id=home_id,
                name=checked_name(name),
                created_at=now,
                rsa_public_key=rsa_public_key,
                ecdsa_public_key=ecdsa_public_key,
            )
            made = await self._add(self.home(home_id), instance, math.inf)
        self._changed(home_id)
        return made

    async def _add(self, home: Home, instance: Instance, away_before: float) -> Paired:
        token = keys.new_secret()
        await self._storage.put_instance(instance, keys.digest(token))
        if self._was_away(home.primary_instance, away_before):
            home = replace(home, primary_instance=instance.id)
            await self._storage.put_home(home)
        return Paired(home=home, instance=Issued(instance, token), primary=home.primary_instance == instance.id)

    async def revoke_instance(self, home: str | None, instance: str) -> Instance:
        """Refuse an instance from now on. If it was the primary one, messages are held until there is another."""
        async with self._changing:
            revoked = replace(
                self._one(home, instance, self._storage.instances, "instance"), revoked_at=self._clock.now()
            )
            await self._storage.put_instance(revoked)
            found = self.home(revoked.home_id)
            if found.primary_instance == revoked.id:
                await self._storage.put_home(replace(found, primary_instance=None))
        self._changed(found.id)
        return revoked

    async def unpair(self, refresh_token: str) -> Instance:
        """Revoke the instance whose token this is; one that was revoked before is returned as it is.

        Raises:
            RequestError: 401 ``UNAUTHORIZED``.
        """
        instance = self._of(refresh_token)
        return (
            instance if instance.revoked_at is not None else await self.revoke_instance(instance.home_id, instance.id)
        )

    def access_token(self, refresh_token: str) -> str:
        """Return an access token, good for an hour.

        Raises:
            RequestError: 401 ``UNAUTHORIZED`` for garbage, 403 ``FORBIDDEN`` for an instance that was revoked.
        """
        instance = self._of(refresh_token)
        if instance.revoked_at is not None:
            raise RequestError(403, "FORBIDDEN", "This instance was revoked: pair it again.")
        return self.tokens.issue(instance.id)

    def authenticate(self, access_token: str) -> Instance:
        """Return the instance of an access token.

        Raises:
            AuthError: with the reason in a few words, for ``instance-authentication-failed``.
        """
        instance = self._storage.instance(self.tokens.whose(access_token))
        if instance is None or instance.revoked_at is not None:
            raise AuthError("instance revoked")
        return instance

    # Keys

    def keys(self, home: str | None = None) -> Sequence[Key]:
        """Return the keys of a home with their last use, revoked ones too."""
        return self._storage.keys(self.home(home).id)

    async def create_key(
        self,
        home: str | None,
        name: str,
        *,
        scopes: Iterable[str] = SCOPES,
        allowed_ids: Iterable[str] | None = None,
        expires_at: float | None = None,
    ) -> Issued[Key]:
        """Make a key for a phone of the home."""
        async with self._changing:
            found = self.home(home)
            key, issued = keys.new_key(
                found.id,
                fresh_name(name, self._live_keys(found.id)),
                self._clock.now(),
                scopes=scopes,
                allowed_ids=allowed_ids,
                expires_at=expires_at,
            )
            await self._storage.put_key(key, [issued.value])
        return Issued(key, issued.secret)

    async def rename_key(self, home: str | None, key: str, name: str) -> Key:
        """Give a key another name."""
        async with self._changing:
            found = self._one(home, key, self._storage.keys, "key")
            others = [one for one in self._live_keys(found.home_id) if one.id != found.id]
            renamed = replace(found, name=fresh_name(name, others))
            await self._storage.put_key(renamed, self._storage.secrets(found.id))
        return renamed

    async def rotate_key(self, home: str | None, key: str) -> Issued[Key]:
        """Make a new secret; the old one opens until the first use of the new one, at most 7 days."""
        async with self._changing:
            found = self._one(home, key, self._storage.keys, "key")
            now = self._clock.now()
            fresh = keys.issue(now)
            await self._storage.put_key(found, keys.rotate(self._storage.secrets(found.id), fresh.value, now))
        return Issued(self._storage.key(found.id) or found, fresh.secret)

    async def revoke_key(self, home: str | None, key: str) -> Key:
        """Refuse a key from now on; whoever asked is to be told ``REVOKE_WARNING``."""
        async with self._changing:
            found = self._one(home, key, self._storage.keys, "key")
            revoked = replace(found, revoked_at=self._clock.now())
            await self._storage.put_key(revoked, self._storage.secrets(found.id))
        return revoked

    def _one(self, home: str | None, named: str, of: Callable[[str], Sequence[R]], kind: str) -> R:
        """Return an instance or key that lives: of this home, or if None is named, of any."""
        homes = self._storage.homes() if home is None else [self.home(home)]
        if not homes:
            self.home()  # says that there is none
        return pick_live([one for found in homes for one in of(found.id)], named, kind)

    def _of(self, refresh_token: str) -> Instance:
        instance = self._storage.instance_of(keys.digest(refresh_token))
        if instance is None:
            raise RequestError(401, "UNAUTHORIZED", "This refresh token is not known here: pair the instance again.")
        return instance

    def _was_away(self, instance_id: str | None, before: float) -> bool:
        """Return whether an instance has not been here since then, as far as this gateway can know."""
        instance = self._storage.instance(instance_id) if instance_id else None
        if instance is None:
            return True
        last = instance.created_at if instance.last_seen is None else instance.last_seen
        return not self.is_connected(instance.id) and max(last, self._began) < before

    def _live_keys(self, home_id: str) -> Sequence[Key]:
        return [key for key in self._storage.keys(home_id) if key.revoked_at is None]
