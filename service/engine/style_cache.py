"""``StyleCache``: encoded uploads, so that a style that is sent again is not encoded again."""

import threading
from collections import OrderedDict

from model_store.style import Style


class StyleCache:
    """The styles used last, at most ``entries``, by their network's and their own hash; for several threads."""

    def __init__(self, entries: int) -> None:
        """Empty."""
        self._entries = entries
        self._styles: OrderedDict[tuple[str, str], Style] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> Style | None:
        """The style, which becomes the one used last."""
        with self._lock:
            if key in self._styles:
                self._styles.move_to_end(key)
            return self._styles.get(key)

    def put(self, key: tuple[str, str], style: Style) -> None:
        """Remember a style; forget the one not used for longest."""
        with self._lock:
            self._styles[key] = style
            while len(self._styles) > self._entries:
                self._styles.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._styles.clear()
