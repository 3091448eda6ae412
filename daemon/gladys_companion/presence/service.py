"""Takes what phones tell of where they are, decides where people are, and tells it as events. A ``ports.Target``.

All that it knows is in the database, and one message is one commit: to stop is to cancel, to start is to read.
"""

from __future__ import annotations

from functools import partial

from gladys_companion.errors import ProtocolError, Rejected
from gladys_companion.model import Delivery, Event, Feature
from gladys_companion.presence import derived, phones, replies
from gladys_companion.presence.ledger import Ledger, load
from gladys_companion.presence.phones import Names
from gladys_companion.presence.posted import Message, Taken, take_message, take_state
from gladys_companion.presence.register import Register
from gladys_companion.presence.told import Told, names_of, read_told, reported
from gladys_companion.protocol.owntracks.answers import answer
from gladys_companion.store import people, whereabouts
from gladys_companion.store.people import Phone

__all__ = ["PresenceService"]


class PresenceService(Register):
    """Where people are; see ``Register`` for how it is opened and run."""

    async def deliver(self, delivery: Delivery) -> str | None:
        """Write down what an event says of where somebody is, and what that comes to; see ``ports.Target``.

        Returns what was not used of it, and why.

        Raises:
            Rejected: it can not be used, or not yet; the sentence says why.
            Unavailable: the database can not take it now.
        """
        event = delivery.event
        if event.kind == "state":
            return await self._state(event, delivery.feature)
        try:
            message = reported(event)
            phone, told, names = await self._read(event)
        except ProtocolError as error:
            raise Rejected(str(error)) from error

        whole = Message(event, phone, told, message.gateway_at, names.shown())
        notes = []
        for part in whole.parts():
            taken = await self.desk.write(partial(_take, part))
            if taken.refusal is not None:
                raise Rejected(taken.refusal)
            notes += [taken.note] if taken.note else []
        return "; ".join(dict.fromkeys(notes)) or None

    async def _read(self, event: Event) -> tuple[Phone, Told, Names]:
        """Return which phone a message is of, and what it says.

        Raises:
            ProtocolError: it can never be used.
        """
        message = reported(event)
        names = names_of(event, message)
        phone = phones.find(self.books.phones.values(), names)
        told = read_told(message, None)
        passphrase = await self.passphrase(phone.id) if told.sealed and phone is not None else None
        if phone is not None and passphrase is not None:
            try:
                told = read_told(message, passphrase)
            except ProtocolError as error:
                if error.data.get("keep"):
                    await self._keep(event, phone)
                raise
        if told.device is not None and message.device is None:
            names = names._replace(device=told.device)
            phone = phones.find(self.books.phones.values(), names)
        if phone is None:
            phone = await self._make(names)
        device, features = derived.described_phone(phone)
        if device.id not in self._registry.snapshot.devices:
            await self._registry.put_device(device, features)
        return phone, told, names

    async def _keep(self, event: Event, phone: Phone) -> None:
        root = event.cause or event.id
        await self._store.write(lambda database: whereabouts.keep(database, root, phone.id, "sealed"))

    async def _make(self, names: Names) -> Phone:
        """Make a phone of names that were not heard before."""

        def job(ledger: Ledger) -> Phone:
            known = ledger.books
            found = phones.find(known.phones.values(), names)
            if found is not None:
                return found
            made = phones.make(names, tuple(known.people.values()), tuple(known.phones.values()), self._clock.now())
            people.put_phone(ledger.database, made)
            ledger.books = load(ledger.database)
            return made

        return await self.desk.write(job)

    async def reply(self, event: Event) -> bytes | None:
        """Return what the app on the phone that told this is told in return, as a JSON array; None: nothing.

        Where the phone has a passphrase, each message is sealed with it.

        Raises:
            StoreError: it can not be known now.
        """
        options = self._config.presence
        if event.kind not in {"location", "transition"} or not (options.share_friends or options.share_zones):
            return None
        try:
            message = reported(event)
        except ProtocolError:
            return None
        phone = phones.find(self.books.phones.values(), names_of(event, message))
        if message.app != "owntracks" or phone is None or self.time.now() - message.gateway_at > replies.FRESH:
            return None
        made = await self.desk.read(lambda ledger: replies.make_reply(ledger, phone, options))
        if made.zones is not None:
            zones = made.zones
            await self.desk.write(lambda ledger: replies.note_zones(ledger, phone.id, zones))
        return answer(made.messages, await self.passphrase(phone.id)) if made.messages else None

    async def _state(self, event: Event, feature: Feature | None) -> str | None:
        textual = feature is not None and feature.textual
        present = (event.text or "") if textual else event.value
        if present is None:
            raise Rejected("It is no value that says where anybody is.")
        ids = frozenset({event.external_id or "", feature.external_id if feature is not None else ""}) - {""}
        ahead = self.time.ahead()
        return await self.desk.write(lambda ledger: take_state(ledger, event, present, ids=ids, ahead=ahead))


def _take(message: Message, ledger: Ledger) -> Taken:
    """Write down a message of what is known of its phone by then."""
    phone = ledger.books.phones.get(message.phone.id, message.phone)
    return take_message(ledger, message._replace(phone=phone))
