"""A pipe between a child and its supervisor, which is never written to, and closes when the supervisor ends.

So no process of a service outlives ``serve``, even after ``kill -9``, and keeps the port or the folder of the data. The
other end of a worker's pipe is also held by the API, and that of the queue's by both: so they end one after the other.
"""

import os
import signal
from threading import Thread

VARIABLE = "STYLIZE_PARENT_PIPE"
"""Environment variable with the number of the file descriptor that the child has inherited."""


def end_with_parent() -> None:
    """Send this process a SIGTERM when its supervisor ends, if it has one, or when its terminal does (SIGHUP)."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as ``nohup`` has it
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    number = os.environ.pop(VARIABLE, None)
    if number is not None and number.isdecimal():
        Thread(target=_end_after, args=(int(number),), name="parent watch", daemon=True).start()


def _end_after(pipe: int) -> None:
    try:
        os.read(pipe, 1)
    except OSError:  # the variable came without its pipe
        return
    os.kill(os.getpid(), signal.SIGTERM)
