"""The root command: finds commands by name without importing the others, and turns errors into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from twinproof.cli.output import ExitCode, exit_code, report_error
from twinproof.errors import TwinproofError

PIPE_CLOSED: Final = 141
"""What a shell says of a program that ended by SIGPIPE."""


class Root(click.Group):
    """A group whose commands are given as `module:attribute` and imported when they are called.

    So `twinproof verify` imports no node, no database and no web framework, and cannot break with them.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sections = sections
        self._places = {name: place for section in sections.values() for name, place in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of this name."""
        place = self._places.get(cmd_name)
        if place is None:
            return None
        module, attribute = place.split(":")
        command = getattr(import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their headings."""
        width = max(map(len, self._places))
        for title, section in self.sections.items():
            with formatter.section(title):
                rows = [(name, self.get_command(ctx, name)) for name in section]
                formatter.write_dl(
                    [(name.ljust(width), command.get_short_help_str(90)) for name, command in rows if command]
                )

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run and exit: every error becomes one line (one JSON object with --json) and an exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        if os.environ.get("NO_COLOR"):
            extra["color"] = False
        sys.exit(self._run(arguments, prog_name or "twinproof", complete_var, "--json" in arguments, extra))

    def _run(
        self, arguments: list[str], name: str, complete_var: str | None, as_json: bool, extra: dict[str, Any]
    ) -> int:
        try:
            result = super().main(arguments, name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except TwinproofError as error:
            report_error(error.code, str(error), as_json=as_json)
            return exit_code(error)
        except NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return ExitCode.USAGE
        except click.UsageError as error:
            hint = f"\nTry '{error.ctx.command_path} --help'." if error.ctx and not as_json else ""
            report_error("usage", error.format_message() + hint, as_json=as_json)
            return ExitCode.USAGE
        except click.ClickException as error:
            report_error("usage", error.format_message(), as_json=as_json)
            return ExitCode.USAGE
        except (click.Abort, KeyboardInterrupt):
            report_error("interrupted", "interrupted", as_json=as_json)
            return 130
        except SystemExit:
            # How click ends a command whose reader went away (`| head`): nothing is wrong, and 1 would mean "refused".
            return PIPE_CLOSED
        except BrokenPipeError:
            # The same, noticed by the last flush; Python must not flush into the pipe again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return PIPE_CLOSED
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            report_error("storage-failed", f"{place}{error.strerror or error}", as_json=as_json)
            return ExitCode.UNAVAILABLE
        return result if isinstance(result, int) else ExitCode.OK
