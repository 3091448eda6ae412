"""The login of Gladys Plus, against vectors of its own client and server, and against what is not one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gladys_companion.errors import ProtocolError
from gladys_companion.protocol import srp

LOGINS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "fixtures" / "srp" / "logins.json").read_text(encoding="utf-8")
)
N = 2**2048


def ephemeral(of: dict[str, str]) -> srp.Ephemeral:
    return srp.Ephemeral(int(of["secret"], 16), of["public"])


@pytest.mark.parametrize("login", LOGINS, ids=[one["email"] for one in LOGINS])
def test_logins_of_the_npm_client(login: dict[str, Any]) -> None:
    """Each value that the official client and server came to, ours come to as well."""
    x = srp.private_key(login["email"], login["password"], login["salt"])
    assert x == int(login["x"], 16)
    assert int(srp.verifier(x), 16) == int(login["verifier"], 16)
    ours, theirs = ephemeral(login["client"]), ephemeral(login["server"])
    made = srp.client_session(ours, theirs.public, login["salt"], login["email"], x)
    assert (made.key.hex(), made.proof) == (login["key"], login["client_proof"])
    assert srp.verify_server(ours.public, made, login["server_proof"])
    answer = srp.server_session(
        theirs, ours.public, login["salt"], login["email"], login["verifier"], login["client_proof"]
    )
    assert answer is not None
    assert (answer.key.hex(), answer.proof) == (login["key"], login["server_proof"])


@settings(max_examples=20, deadline=None)
@given(st.integers(min_value=1, max_value=2**256), st.integers(min_value=1, max_value=2**256))
def test_both_sides_agree_only_on_the_right_password(x: int, other: int) -> None:
    """With the same secret both have one key; with another one the server refuses."""
    salt, verifier = srp.new_salt(), srp.verifier(x)
    client, server = srp.client_ephemeral(), srp.server_ephemeral(verifier)
    for secret in {x, other}:
        made = srp.client_session(client, server.public, salt, "a@b.c", secret)
        answer = srp.server_session(server, client.public, salt, "a@b.c", verifier, made.proof)
        assert (answer is not None) is (secret == x)
        if answer is not None:
            assert answer.key == made.key
            assert srp.verify_server(client.public, made, answer.proof)
            assert not srp.verify_server(client.public, made, made.proof)


@pytest.mark.parametrize(
    "public", ["0", "00", f"{int(LOGINS[0]['client']['public'], 16) * 0:x}", "x", "", "é", "f" * 600]
)
def test_a_value_that_opens_everything_is_refused(public: str) -> None:
    """Zero would make the shared secret known, and what is no number is none."""
    login = LOGINS[0]
    with pytest.raises(ProtocolError):
        srp.server_session(ephemeral(login["server"]), public, login["salt"], "a@b.c", login["verifier"], "0")
    with pytest.raises(ProtocolError):
        srp.client_session(ephemeral(login["client"]), public, login["salt"], "a@b.c", 5)


def test_nothing_shows_a_secret() -> None:
    """Neither a login's secrets nor its key are in a representation."""
    login = LOGINS[0]
    one = ephemeral(login["client"])
    made = srp.client_session(one, login["server"]["public"], login["salt"], login["email"], int(login["x"], 16))
    for secret in (login["client"]["secret"], str(int(login["client"]["secret"], 16)), login["key"], made.proof):
        assert secret not in repr(one) + repr(made) + str(one) + str(made)


def test_email_and_password_are_taken_as_the_client_does() -> None:
    """Blanks around both, and capitals in the e-mail, do not matter."""
    salt = LOGINS[0]["salt"]
    assert srp.private_key(" Anna@Example.ORG ", " pass word ", salt) == srp.private_key(
        "anna@example.org", "pass word", salt
    )
