"""What all commands share: errors as exit codes, options declared once, a result printed for people or as JSON.

Imports click alone, so that `datakit --help` answers at once. Results go to stdout, everything else to stderr.
Exit codes: 0 ok, 2 config, 3 source, 4 stage, 5 gate, 6 store, 7 train, 8 teacher, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from datakit.errors import DatakitError

JSON = "datakit.json"
"""Key in click's meta: whether the command line asks for JSON."""
LONGER = {("show", "drops"): "drops"}
"""Commands that answer to two words as well: drops are looked for where rows are shown."""
F = TypeVar("F", bound=Callable[..., Any])
ONE_OR_MORE = click.IntRange(min=1)


class Datakit(click.Group):
    """The one place where errors become exit codes, and commands keep the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order in which a person needs them."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember whether a failure, too, is wanted as JSON."""
        ctx.meta[JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that a line names, in one word or in two."""
        longer = LONGER.get((args[0], args[1])) if len(args) > 1 else None
        return super().resolve_command(ctx, [longer, *args[2:]] if longer else args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; every failure becomes a few lines on stderr and its exit code. --debug lets it through."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):
            raise
        except KeyboardInterrupt:
            fix = "run the same command again, it goes on where it stopped"
            click.echo(f"interrupted: {fix}", err=True)
            _fail(ctx, 130, {"error": "Interrupted", "message": "interrupted", "where": "", "fix": fix})
        except Exception as error:
            # A reader that went away (`datakit show | head`) is no failure; click ends quietly.
            if ctx.params.get("debug") or isinstance(error, BrokenPipeError):
                raise
            from datakit.terminal import visible

            told = _told(error)
            for line in told.lines():
                click.echo(visible(line), err=True)
            _fail(ctx, told.exit_code, told.as_dict())


def _told(error: Exception) -> DatakitError:
    """Any failure as a DatakitError. A stranger's own message stays out: it may quote a document."""
    from datakit.errors import ConfigError, DatakitError, StoreError

    if isinstance(error, DatakitError):
        return error
    if isinstance(error, click.ClickException):
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "datakit"
        return ConfigError(error.format_message(), where=command, fix=f"see `{command} --help`")
    if isinstance(error, OSError) and error.strerror:
        where = str(error.filename or "")
        return StoreError(f"a file can't be used: {error.strerror}", where=where, fix="choose another place")
    return DatakitError(
        f"unexpected {type(error).__name__}: a fault in datakit or in a plugin",
        fix="`datakit --debug COMMAND ...` shows where in the code",
    )


def _fail(ctx: click.Context, code: int, document: dict[str, Any]) -> NoReturn:
    from datakit.terminal import visible_json

    if ctx.meta[JSON]:
        click.echo(visible_json(document))
    ctx.exit(code)


def options(*names: str) -> Callable[[F], F]:
    """Options that several commands share, declared once."""
    shared = {
        "store": click.option(
            "--store", default="store", show_default=True, metavar="DIR", help="Folder or URL of the store."
        ),
        "set": click.option(
            "--set", "overrides", multiple=True, metavar="STAGE.FIELD=VALUE", help="Change a setting; repeatable."
        ),
        "workers": click.option("--workers", default=1, show_default=True, metavar="N", help="Worker processes."),
        "executor": click.option(
            "--executor", metavar="NAME", help="serial, processes or ray (default: by --workers)."
        ),
        "json": click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document."),
    }

    def wrap(function: F) -> F:
        for name in reversed(names):
            function = shared[name](function)
        return function

    return wrap


def say(result: Any, as_json: bool, show: Callable[[Any], None]) -> None:
    """Print a result: as JSON, or for people."""
    from datakit import api
    from datakit.terminal import visible_json

    if as_json:
        click.echo(visible_json(api.as_json(result)))
    else:
        show(result)
