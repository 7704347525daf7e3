"""``python -m train``: one command per training, and the way from a training to the service."""

import typer

from train.cli import checkpoints, trainings

app = typer.Typer(
    help="Train the service's networks, evaluate them and export them.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for command in (
    trainings.swift,
    trainings.adain,
    trainings.generator,
    trainings.add_style,
    checkpoints.evaluate,
    checkpoints.export,
    checkpoints.sheet,
    checkpoints.matrix,
):
    app.command()(command)


if __name__ == "__main__":
    app()
