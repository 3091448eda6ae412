"""What a device's discovery messages say that it is: pure, and total on garbage.

The messages are read and checked by hatasmota. Source: Tasmota's xdrv_12_discovery.ino, and the topics
``tasmota/discovery/<mac>/config`` and ``/sensors``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hatasmota import discovery
from hatasmota.light import (
    LIGHT_TYPE_COLDWARM,
    LIGHT_TYPE_NONE,
    LIGHT_TYPE_RGB,
    LIGHT_TYPE_RGBCW,
    TasmotaLightConfig,
)
from hatasmota.relay import TasmotaRelayConfig
from hatasmota.shutter import TasmotaShutterConfig
from hatasmota.utils import (
    config_get_state_offline,
    config_get_state_online,
    get_topic_command,
    get_topic_stat,
    get_topic_tele,
)
from msgspec import Struct
from voluptuous import Invalid

from gladys_companion.drivers.identity import mac_of
from gladys_companion.drivers.tasmota import _lights as lights
from gladys_companion.drivers.tasmota import _senses as senses
from gladys_companion.drivers.tasmota import _shutters as shutters
from gladys_companion.drivers.tasmota._parts import Part, Power
from gladys_companion.errors import ProtocolError
from gladys_companion.model import Device

__all__ = ["NAME", "Announced", "announced"]

NAME = "tasmota"
LONGEST_TOPIC = 256

# What hatasmota raises where an announcement is JSON, but not a device's.
NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, Invalid)


class Announced(Struct, frozen=True, kw_only=True):
    """A device as it announces itself. ``command``, ``stat`` and ``tele`` are what its topics begin with."""

    device: Device
    mac: str
    parts: tuple[Part, ...]
    command: str
    stat: str
    tele: str
    online: str
    offline: str
    sleeps: bool  # deeply, most of the time: it can not be asked whether it is there
    elsewhere: bool  # it answers commands on topics of their own, where nobody listens
    complaint: str | None  # what of it was not understood

    @property
    def topics(self) -> tuple[str, ...]:
        """Return what it tells its states on."""
        stat = (f"{self.stat}{name}" for name in ("RESULT", "STATUS5", "STATUS10", "STATUS11"))
        return (f"{self.tele}LWT", f"{self.tele}STATE", f"{self.tele}SENSOR", *stat)

    def part(self, component: str) -> Part | None:
        """Return the part of that name."""
        return next((part for part in self.parts if part.component == component), None)


def announced(mac: str, config: object, sensors: object) -> Announced:
    """Return what a device is by the JSON of its two messages; ``sensors`` is None where there is no such message.

    Raises:
        ProtocolError: it is no announcement of the device with this MAC.
    """
    try:
        message = discovery.TasmotaDiscoveryMsg(config)
        if mac_of(message["mac"]) != mac:
            raise ProtocolError(f"It announces the MAC {message['mac'][:32]!r} in the place of {mac}.")
        prefixes = [get_topic_command(message), get_topic_stat(message), get_topic_tele(message)]
        found = [*_controls(message), *senses.inputs(message)]
    except NONSENSE as error:
        raise ProtocolError(f"It announces what no Tasmota does: {type(error).__name__}.") from error
    complaint = None
    try:
        found += senses.sensors(message, sensors if sensors is not None else {"sn": {}, "ver": 1})
    except NONSENSE as error:
        complaint = f"It announces sensors as no Tasmota does: {type(error).__name__}."
    if len(set(prefixes)) < len(prefixes) or not all(map(_is_topic, prefixes)):
        raise ProtocolError("It announces topics that can not be told apart, or are none: see its FullTopic.")
    return Announced(
        device=Device(
            id=f"{NAME}:{mac}",
            driver=NAME,
            name=str(message["dn"]) or str(message["hn"]),
            model=f"Tasmota {message['md']}",
            host=str(message["hn"]),
            address=str(message["ip"]) or None,
            port=80,
        ),
        mac=mac,
        parts=_unique(found),
        command=prefixes[0],
        stat=prefixes[1],
        tele=prefixes[2],
        online=config_get_state_online(message),
        offline=config_get_state_offline(message),
        sleeps=bool(message["dslp"]),
        elsewhere=bool(message["so"]["4"]),
        complaint=complaint,
    )


def _is_topic(prefix: str) -> bool:
    return len(prefix) <= LONGEST_TOPIC and not re.search(r"[+#\x00-\x1f\x7f-\x9f]", prefix)


def _controls(message: Mapping[str, Any]) -> Iterator[Part]:
    """Yield what can be commanded."""
    for relay, _ in discovery.get_switch_entities(message):
        if isinstance(relay, TasmotaRelayConfig):
            yield _power(relay, "switch")
    for light, _ in discovery.get_light_entities(message):
        if isinstance(light, TasmotaRelayConfig):
            yield _power(light, "light")
        elif isinstance(light, TasmotaLightConfig):
            yield from _light(light)
    for shutter, _ in discovery.get_cover_entities(message):
        if isinstance(shutter, TasmotaShutterConfig):
            yield from _shutter(shutter)


def _power(config: TasmotaRelayConfig | TasmotaLightConfig, category: str) -> Power:
    index = config.idx + 1
    return Power(
        component=f"power:{index}",
        name=config.friendly_name or ("Power" if index == 1 else f"Power {index}"),
        category=category,
        type="binary",
        keys=(f"POWER{index}", "POWER"),
        min=0,
        max=1,
        index=index,
        on=config.state_power_on,
        off=config.state_power_off,
    )


def _light(config: TasmotaLightConfig) -> Iterator[Part]:
    power = _power(config, "light")
    yield power
    kind, index = config.light_type, power.index
    if kind != LIGHT_TYPE_NONE:
        yield lights.Dimmer(
            component=f"dimmer:{index}",
            name=f"{power.name}: brightness",
            category="light",
            type="brightness",
            keys=(*power.keys, config.dimmer_state),
            unit="percent",
            min=0,
            max=100,
            power=power,
            key=config.dimmer_state,
            command=f"Channel{index}" if config.control_by_channel else config.dimmer_cmd,
            unlinked=bool(config.not_power_linked),
        )
    if kind >= LIGHT_TYPE_RGB:
        yield lights.Color(
            component=f"color:{index}",
            name=f"{power.name}: color",
            category="light",
            type="color",
            keys=(*power.keys, "HSBColor"),
            min=0,
            max=0xFFFFFF,
            power=power,
            suffix=config.color_suffix,
        )
    if kind in {LIGHT_TYPE_COLDWARM, LIGHT_TYPE_RGBCW}:
        yield lights.Temperature(
            component=f"ct:{index}",
            name=f"{power.name}: color temperature",
            category="light",
            type="temperature",
            keys=("CT",),
            min=config.min_mireds,
            max=config.max_mireds,
        )


def _shutter(config: TasmotaShutterConfig) -> Iterator[Part]:
    index, inverted = config.idx + 1, bool(config.inverted_shutter)
    name, keys = "Shutter" if index == 1 else f"Shutter {index}", (f"Shutter{index}",)
    yield shutters.ShutterState(
        component=f"shutter-state:{index}",
        name=name,
        category="shutter",
        type="state",
        keys=keys,
        min=shutters.CLOSE,
        max=shutters.OPEN,
        index=index,
        inverted=inverted,
    )
    yield shutters.ShutterPosition(
        component=f"shutter-position:{index}",
        name=f"{name}: position",
        category="shutter",
        type="position",
        keys=keys,
        unit="percent",
        min=0,
        max=100,
        index=index,
        inverted=inverted,
    )


def _unique(found: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts, of two that would have one name the first."""
    named: dict[str, Part] = {}
    for part in found:
        named.setdefault(part.component, part)
    return tuple(named.values())
