"""The configuration: its example is true, and each mistake in it is told with file, line, path and what was meant."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct, structs

from gladys_companion.config import (
    Config,
    PersonOptions,
    PhoneOptions,
    SignalOptions,
    Table,
    ZoneOptions,
    address,
    decode,
    load,
    secret,
)
from gladys_companion.config.lines import line_of, locate
from gladys_companion.errors import ConfigError

Write = Callable[[str], Path]

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def options(type_: type[Struct], prefix: str = "") -> list[str]:
    """Return the dotted names of all options."""
    found = []
    for field in structs.fields(type_):
        name = f"{prefix}{field.name}"
        nested = isinstance(field.type, type) and issubclass(field.type, Struct)
        found += options(field.type, f"{name}.") if nested else [name]
    return found


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_example_equals_the_defaults() -> None:
    """The example decodes, and to the same configuration as an empty file."""
    assert load(EXAMPLE) == Config()


@pytest.mark.parametrize("option", options(Config))
def test_example_shows_every_option(option: str) -> None:
    """The example names every option there is."""
    lines = locate(EXAMPLE.read_text(encoding="utf-8"))
    path = tuple(option.split("."))
    if path in {("sinks",), ("people",), ("zones",), ("signals",)}:
        assert f"[{path[0]}." in EXAMPLE.read_text(encoding="utf-8")
    else:
        assert any(found[: len(path)] == path for found in lines)


def test_example_of_people_zones_and_signals_can_be_used(written: Write) -> None:
    """With the marks before them taken away, its lines name every option of a person, a phone, a zone and a signal."""
    text = re.sub(r"^#(?:   (.*))?$", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    config = load(written(f"{text}\n[sinks.gladys_api]\n"))
    lines = locate(text)
    for path, type_ in (
        (("signals", "nfc:front-door"), SignalOptions),
        (("people", "anna"), PersonOptions),
        (("people", "anna", "phones", "iphone"), PhoneOptions),
        (("zones", "home"), ZoneOptions),
    ):
        for field in structs.fields(type_):
            assert (*path, field.name) in lines or field.name in {"phones", "text"}
    assert config.people["anna"].phones["iphone"].user == "anna"
    assert config.zones["home"].home
    assert config.signals["nfc:front-door"].debounce == SignalOptions().debounce
    assert config.signals["nfc:bed"].text == "asleep"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[people.Anna]\n", 1, "[people] Anna: such a name has lower-case letters, digits, - and _ only"),
        ("[people.anna]\n\nnmae = 'x'\n", 3, "[people.anna] nmae: no such option. Did you mean 'name'?"),
        ("[people]\nanna = 3\n", 2, "[people] anna: this must be a table: [people.anna]."),
        ("[people.a.phones.p]\nusr = 'x'\n", 2, "[people.a.phones.p] usr: no such option. Did you mean 'user'?"),
        ("[people.a.phones.p]\nname = 'x'\n", 1, "[people.a.phones] p: it says nothing by which the phone is known"),
        (
            "[people.a.phones.p]\nuser='a'\n[people.b.phones.p]\nuser='b'\n",
            3,
            "[people.b.phones] p: a has a phone 'p' already",
        ),
        ("[zones.home]\nlatitude = 1\nlongitude = 181\n", 3, "[zones.home] longitude: expected float <= 180.0."),
        ("[zones.home]\nlatitude = 1\n", 1, "[zones] home: object missing required field longitude."),
        (
            "[zones.a]\nlatitude=1\nlongitude=1\nhome=true\n[zones.b]\nlatitude=1\nlongitude=1\nhome=true\n",
            8,
            "[zones.b] home: a is home already",
        ),
        ("[zones.a]\nlatitude=1\nlongitude=1\nexit_radius=50\n", 4, "[zones.a] exit_radius: it is less than the"),
        ("[presence]\ntimezone = 'Mars/Base'\n", 2, "[presence] timezone: 'Mars/Base' is not a time zone"),
    ],
)
def test_what_is_wrong_with_people_and_zones(written: Write, text: str, line: int, says: str) -> None:
    """Names that the user chose are in the path, and each mistake points at its line."""
    path = written(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}, line {line}: {says}")


def test_unknown_option_is_told_with_line_and_nearest(written: Write) -> None:
    """A misspelt option is refused with file, line, path and the key that was meant."""
    path = written("log_level = 'info'\n\n[retention]\nevnts_days = 3\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == (f"{path}, line 4: [retention] evnts_days: no such option. Did you mean 'events_days'?")
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[retention]\nevents_days = 'x'\n", 2, "[retention] events_days: expected int, got str."),
        ("[retention]\nevents_days = 0\n", 2, "[retention] events_days: expected int >= 8."),
        ("[link]\ndead_after = nan\n", 2, "[link] dead_after: expected float"),
        ("[retentoin]\n", 1, "retentoin: no such option. Did you mean 'retention'?"),
        ("log_level = 'loud'\n", 1, "log_level: this is one of debug, info, warning, error."),
        ("[local]\nmap_tiles = 'https://tiles.example/{z}/{x}.png'\n", 2, "[local] map_tiles: it is no address"),
        ("[local]\nmap_tiles = 'https://a; script-src/{z}/{x}/{y}.png'\n", 2, "[local] map_tiles: it is no address"),
        ("[local]\nlisten = 'here'\n", 2, "[local] listen: 'here' is not an address and a port"),
        ("[gateway]\nlisten = '[::]:1'\n", 2, "[gateway] listen: :: can be reached by other machines"),
        ("[gateway]\n\ntls_key = 'k.pem'\n", 1, "[gateway] tls_certificate: tls_certificate and tls_key go together"),
        ("[gateway]\ntrusted_proxies = ['10.0.0.0/8',\n 'x']", 2, "'x' is not an address or network"),
        ("[discovery]\ninterfaces = ['a', 1]", 2, "expected str, got int."),
        ("[mqtt]\nport = 0\n", 2, "[mqtt] port: expected int >= 1."),
        ("[mqtt]\npassword_file = 'p'\n", 2, "[mqtt] password_file: it needs username beside it."),
        ("[mqtt]\nca_certificate = 'c'\n", 2, "[mqtt] ca_certificate: it is used with tls = true only."),
        ("[gladys]\nurl = 'gladys.local'\n", 2, "'gladys.local' is not the address of a Gladys, such as"),
        ("[gladys]\nurl = 'http://me:secret@gladys'\n", 2, "[gladys] url: it holds a user name or password"),
        ("[gladys]\nurl = 'http://gladys:port'\n", 2, "is not the address of a Gladys"),
        ("[gladys]\nurl = 'http://gladys/?a=b'\n", 2, "[gladys] url: 'http://gladys/?a=b' is more than an address"),
        ("[gladys]\napi_key_file = 'k'\n", 2, "[gladys] api_key_file: it needs url beside it."),
        ("[drivers]\nwled = 3\n", 2, "[drivers] wled: this must be a table: [drivers.wled]."),
        ("sinks.gladys = 3\n", 1, "[sinks] gladys: this must be a table"),
    ],
)
def test_wrong_value_is_told_with_its_line(written: Write, text: str, line: int, says: str) -> None:
    """Types, ranges and meanings are checked; the sentence names the line and the path."""
    with pytest.raises(ConfigError) as caught:
        load(written(text))
    assert says in str(caught.value)
    assert f", line {line}: " in str(caught.value)


def test_not_toml_is_told_with_its_line(written: Write) -> None:
    """A file that is not TOML is refused with the parser's line."""
    with pytest.raises(ConfigError, match=r"this is not TOML.*line 2"):
        load(written("a = 1\nb =\n"))


def test_missing_file_is_told(tmp_path: Path) -> None:
    """A named file that does not exist is an error, not an empty configuration."""
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "none.toml")


def test_gateway_may_listen_everywhere_behind_a_proxy(written: Write) -> None:
    """A proxy or a certificate allows what plain HTTP does not."""
    assert load(written("[gateway]\nlisten='0.0.0.0:80'\nbehind_proxy=true\n")).gateway.behind_proxy
    assert load(written("[gateway]\nlisten='0.0.0.0:80'\ntls_certificate='c'\ntls_key='k'\n")).gateway.tls_key == "k"


class Nested(Struct, frozen=True, forbid_unknown_fields=True):
    quick: bool = False


class Lamp(Struct, frozen=True, forbid_unknown_fields=True):
    mqtt_host: str = ""
    port: int = 1883
    more: Nested = Nested()


def test_plug_in_tables_name_their_line_too(written: Write) -> None:
    """A plug-in's own options are decoded later, and their mistakes still point at the line."""
    text = "[sinks.gladys]\nport = 1\n[sinks.gladys.more]\nqick = true\n[drivers.wled]\nport = 'x'\n"
    config = load(written(text))
    with pytest.raises(ConfigError, match=r"line 4: \[sinks\.gladys\.more\] qick: .*'quick'"):
        decode(config.sinks["gladys"], Lamp)
    with pytest.raises(ConfigError, match=r"line 6: \[drivers\.wled\] port: expected int, got str"):
        decode(config.drivers["wled"], Lamp)
    table = config.drivers["wled"]
    assert isinstance(table, Table)
    assert "line 6: [drivers.wled] port: not today." in str(table.error("port", "not today."))
    assert decode({"mqtt_host": "a"}, Lamp) == Lamp(mqtt_host="a")


def test_lines_of_all_shapes_of_toml() -> None:
    """Strings of several lines, comments, quoted and dotted keys and arrays do not lead the count astray."""
    text = '''# [no]
a = """
[no]
b = 1 # no
"""
c = ['x', # [no
  "]", '#',
]
"d.e".'f' = { g = 1, h = [2] } # = no
[t . "u v"] # = no
i = 1
[[w]]
j = 'a = b'
[[w]]
j = 1
'''
    found = locate(text)
    assert found == {
        ("a",): 2,
        ("c",): 6,
        ("d.e", "f"): 9,
        ("t", "u v"): 10,
        ("t", "u v", "i"): 11,
        ("w",): 12,
        ("w", "j"): 13,
    }
    assert line_of(found, ("d.e", "f", "g")) == 9
    assert line_of(found, ("nowhere",)) is None


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:8480", ("::1", 8480)), ("localhost:1", ("127.0.0.1", 1))],
)
def test_address_is_split(listen: str, expected: tuple[str, int]) -> None:
    """Host and port are told apart, also for IPv6."""
    assert address(listen) == expected


@pytest.mark.parametrize("listen", ["", "127.0.0.1", "example.org:80", "127.0.0.1:99999", ":80"])
def test_what_is_no_address_is_told(listen: str) -> None:
    """Names, missing ports and impossible ones are refused."""
    with pytest.raises(ValueError, match="is not an"):
        address(listen)


def test_secrets_come_from_file_credential_or_environment(tmp_path: Path) -> None:
    """A secret is read from the named file, else from systemd, else from the environment."""
    (tmp_path / "mqtt-password").write_text("from systemd\n")
    (tmp_path / "own").write_text("from a file\n")
    systemd = {"CREDENTIALS_DIRECTORY": str(tmp_path), "MQTT_PASSWORD": "from the environment"}
    assert secret("mqtt-password", str(tmp_path / "own"), systemd) == "from a file"
    assert secret("mqtt-password", "", systemd) == "from systemd"
    assert secret("mqtt-password", "", {"MQTT_PASSWORD": "from the environment"}) == "from the environment"
    assert secret("mqtt-password", "", {}) is None
    with pytest.raises(ConfigError, match="can not be read"):
        secret("mqtt-password", str(tmp_path / "missing"), {})


def test_phones_have_their_driver_whatever_others_are_named(tmp_path: Path) -> None:
    """Who adds a lamp's driver keeps the one of virtual devices, and leaves the default one out."""
    path = tmp_path / "config.toml"
    path.write_text("[drivers.shelly]\nanswer_within = 2.0\n")
    assert load(path).drivers == {"virtual": {}, "shelly": {"answer_within": 2.0}}
    path.write_text("")
    assert load(path).drivers == Config().drivers == {"virtual": {}, "wled": {}}
