"""The command line. Each command is imported only when it runs, so that ``--version`` and ``--help`` cost nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

import gladys_companion
from gladys_companion.cli.settings import Settings
from gladys_companion.errors import CompanionError

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {  # name: where it is, and what `--help` says of it
    "run": ("run:run", "Run the daemon at home, in the foreground."),
    "demo": ("demo:demo", "Show the whole path on this machine, with simulated devices."),
    "status": ("home:status", "Say how the running daemon is."),
    "doctor": ("doctor:doctor", "Find out what is wrong, and what to do about it."),
    "config": ("check:config", "Check the configuration file."),
    "pair": ("home:pair", "Pair this home with a gateway."),
    "unpair": ("home:unpair", "Forget the gateway."),
    "devices": ("devices:devices", "List and change devices."),
    "people": ("people:people", "See who is where, and why; say whose phone is whose."),
    "zones": ("zones:zones", "List and change zones."),
    "gladys": ("gladys:gladys", "Have Gladys ready for what only a scene of its own can do."),
    "scan": ("scan:scan", "Look for devices on the network, now."),
    "alias": ("alias:alias", "Give features other external ids."),
    "events": ("events:events", "See what came in, and what became of it."),
    "settings": ("runtime:settings", "Change settings while the daemon runs."),
    "password": ("runtime:password", "Protect the home's pages by a password."),
    "backup": ("backup:backup", "Write a checked copy of the database."),
    "restore": ("backup:restore", "Put a backup in the place of the database."),
    "gateway": ("gateway:gateway", "Run the cloud end, and manage its homes and keys."),
    "sim": ("sim:sim", "Run a simulated device."),
}


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"gladys_companion.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"gladys-companion {gladys_companion.__version__}")
        ctx.exit()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="GLADYS_COMPANION_CONFIG",
    help="The configuration file. [default: /etc/gladys-companion/config.toml]",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say the version.")
@click.pass_context
def cli(ctx: click.Context, path: Path | None) -> None:
    """Take what phones tell a cloud gateway home to Gladys Assistant: durably, once, in order, with a receipt."""
    ctx.obj = Settings(path=path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (``sys.argv`` unless given) and exit.

    Expected errors are one sentence on stderr and an exit code, never a traceback.
    """
    try:
        code = cli.main(arguments, prog_name="gladys-companion", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Aborted.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(64)  # EX_USAGE
    except CompanionError as error:
        click.echo(f"gladys-companion: {error} [{error.code}]", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone, and needs no message
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)
