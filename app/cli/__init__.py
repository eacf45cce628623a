"""The command line: `hilum serve`, and what an administrator does beside it."""

import sys

import typer

from app.cli import audit, demo, grants, overrides, recover, schema, serve, shares, tokens, upkeep
from app.errors import ArchiveError

commands = typer.Typer(
    help="Hilum, an open DICOMweb archive. Settings come from the environment or a file .env.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
commands.command("serve")(serve.serve)
commands.command("demo")(demo.demo)
commands.command("migrate")(schema.migrate)
commands.command("openapi")(schema.openapi)
commands.command("sweep")(upkeep.sweep)
commands.command("check")(upkeep.check)
commands.command("recover")(recover.recover)
commands.add_typer(tokens.commands, name="token")
commands.add_typer(grants.commands, name="grant")
commands.add_typer(shares.commands, name="share")
commands.add_typer(overrides.commands, name="override")
commands.add_typer(audit.commands, name="audit")


def main() -> None:
    """Run the command that the arguments name; what it cannot do is said in one line."""
    try:
        commands()
    except ArchiveError as error:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        sys.exit(f"hilum: {error}{cause}")
