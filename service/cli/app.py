"""All commands."""

import typer

from service.cli import processes
from service.cli.status import status
from service.cli.styles import styles
from service.cli.stylize import stylize

app = typer.Typer(
    help="Style transfer as a service. Settings are STYLIZE_* environment variables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    *(processes.serve, processes.api, processes.worker, processes.key, processes.worker_health),
    *(stylize, styles, status),
):
    app.command()(command)
