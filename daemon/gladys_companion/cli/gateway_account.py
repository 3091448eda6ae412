"""``gateway account``: the e-mail and password that an unmodified Gladys asks for.

A password is typed here and goes nowhere: what the gateway is given of it is made in this process.
"""

from __future__ import annotations

from typing import Any

import click

from gladys_companion.cli.gateway_admin import home_option, operate
from gladys_companion.cli.output import json_option, print_json, print_qr, print_table, when
from gladys_companion.cli.settings import Settings
from gladys_companion.errors import RequestError

__all__ = ["account"]

SHORTEST = 8


@click.group()
def account() -> None:
    """The e-mail and password that an unmodified Gladys asks for."""


@account.command("list")
@json_option
@click.pass_obj
def account_list(settings: Settings, as_json: bool) -> None:
    """List who can log in."""
    found = operate(settings, "login.list")
    if as_json:
        print_json(found)
        return
    rows = (
        (
            one["email"],
            one["home_name"],
            "yes" if one["two_factor"] else "not yet",
            one["devices"],
            when(one["created_at"]),
        )
        for one in found
    )
    nobody = "Nobody yet: `gladys-companion gateway account create EMAIL`. Only an unmodified Gladys needs one."
    print_table(("E-MAIL", "HOME", "SECOND FACTOR", "LOGGED IN", "SINCE"), rows, nobody)


@account.command("create")
@click.argument("email")
@home_option
@json_option
@click.pass_obj
def account_create(settings: Settings, email: str, home: str | None, as_json: bool) -> None:
    """Let the user of a home log in as EMAIL; asks for a password."""
    found = operate(settings, "login.create", email=email, home=home, keys=_new_keys(email))
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['email']} can log in to {found['home_name']!r}.")
    click.echo(f"Next: `gladys-companion gateway account two-factor {found['email']}` sets up the codes of an app.")


@account.command("two-factor")
@click.argument("email")
@click.pass_obj
def account_two_factor(settings: Settings, email: str) -> None:
    """Set up an authenticator app as the second factor of EMAIL: shows a QR code, and asks for the app's code."""
    from gladys_companion.gateway import totp  # noqa: PLC0415 - with cryptography a quarter of a second to import

    secret = totp.new_secret()
    shown = totp.url(secret, email)
    print_qr(shown)
    typed = shown.partition("secret=")[2].partition("&")[0]
    click.echo(f"Scan it with an authenticator app, or type this there: {typed}")
    while True:
        code: str = click.prompt("Code of the app", type=str)
        try:
            found = operate(settings, "login.two-factor", email=email, secret=secret, code=code)
        except RequestError as error:
            if error.code != "FORBIDDEN":
                raise
            click.echo(str(error), err=True)
        else:
            break
    click.echo(f"{found['email']} logs in with password and code from now on.")


@account.command("password")
@click.argument("email")
@click.pass_obj
def account_password(settings: Settings, email: str) -> None:
    """Set another password for EMAIL; asks for it, and logs out everywhere."""
    found = operate(settings, "login.password", email=email, keys=_new_keys(email))
    click.echo(f"{found['email']} has another password, and is logged out everywhere.")


@account.command("reset-two-factor")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def account_reset_two_factor(settings: Settings, email: str, yes: bool) -> None:
    """Let EMAIL set up another second factor, and log out everywhere: the phone was lost."""
    if not yes:
        click.confirm(f"Forget the second factor of {email}, and log out everywhere?", abort=True)
    found = operate(settings, "login.reset-two-factor", email=email)
    click.echo(f"Next: `gladys-companion gateway account two-factor {found['email']}`.")


@account.command("remove")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def account_remove(settings: Settings, email: str, yes: bool) -> None:
    """Let EMAIL log in no more. The home stays, and so does every Gladys that is connected."""
    if not yes:
        click.confirm(f"Let {email} log in no more?", abort=True)
    found = operate(settings, "login.remove", email=email)
    click.echo(f"{found['email']} can not log in any more.")


def _new_keys(email: str) -> dict[str, Any]:
    """Ask for a password, and return what is kept of it."""
    import msgspec  # noqa: PLC0415 - with cryptography a quarter of a second to import,

    from gladys_companion.gateway.logins import new_login_keys  # noqa: PLC0415 - which no other command needs

    while True:
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more", type=str)
        if len(password.strip()) >= SHORTEST:
            break
        click.echo(f"It needs {SHORTEST} characters, blanks around it not counted.", err=True)
    kept: dict[str, Any] = msgspec.to_builtins(new_login_keys(email, password))
    return kept
