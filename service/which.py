"""Which of several files an error is about: those of one field have no names of their own."""

import contextlib
from collections.abc import Iterator

from service.errors import InvalidField, PayloadTooLarge, UnsupportedImage


@contextlib.contextmanager
def naming(what: str, index: int, count: int) -> Iterator[None]:
    """Let errors about an image say that it is the one at ``index`` of ``count``, unless it is the only one."""
    try:
        yield
    except (InvalidField, PayloadTooLarge, UnsupportedImage) as err:
        if count > 1:
            raise type(err)(f"{what} {index + 1} of {count}: {err.detail}", err.field) from err
        raise
