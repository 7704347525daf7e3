"""A child's tie to its supervisor: a pipe that nobody writes to, and that ends when the supervisor does.

So no process of a service outlives ``serve``, not even its ``kill -9``, and keeps the port or the data's folder.
"""

import os
import signal
from threading import Thread

VARIABLE = "STYLIZE_PARENT_PIPE"
"""Of the environment: the number of the file descriptor that the child has inherited."""


def end_with_parent() -> None:
    """From now on, the parent's end is a SIGTERM to this process; one without such a parent goes on as before."""
    number = os.environ.pop(VARIABLE, None)
    if number is not None and number.isdecimal():
        Thread(target=_end_after, args=(int(number),), name="parent watch", daemon=True).start()


def _end_after(pipe: int) -> None:
    try:
        os.read(pipe, 1)
    except OSError:  # the variable came without its pipe
        return
    os.kill(os.getpid(), signal.SIGTERM)
