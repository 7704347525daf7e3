"""``stylize``, or ``python -m service``: the processes of the service, and commands for those who use it."""

import typer

from service.cli.paint import paint
from service.cli.processes import api, key, serve, worker, worker_health
from service.cli.status import status
from service.cli.styles import styles
from service.engine.threads import remember_few_shapes, sleep_while_waiting

app = typer.Typer(
    help="Style transfer as a service. Settings are STYLIZE_* environment variables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (serve, api, worker, key, worker_health, paint, styles, status):
    app.command()(command)


def main() -> None:
    """Run the command of the command line."""
    sleep_while_waiting()
    remember_few_shapes()
    app(prog_name="stylize")


if __name__ == "__main__":
    main()
