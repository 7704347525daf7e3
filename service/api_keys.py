"""API keys: who may use the service. Only their SHA-256 is kept, in the settings.

A key is 256 random bits, so a plain hash hides it as well as a slow one would: there is nothing to guess. (Slow hashes
are for passwords, which people choose.) It begins with ``stylize_``, so that scanners for leaked secrets can know it.

    STYLIZE_API_KEYS=alice:9f86d081…,bob:60303ae2…

A name may stand there with several keys: while a client changes from one to the other, both are good.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from secrets import token_urlsafe

PREFIX = "stylize_"
KEY_BYTES = 32

NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ApiKey:
    """A client's name and the SHA-256 of its key, in hexadecimal."""

    name: str
    sha256: str

    def __str__(self) -> str:
        """As it stands in the settings."""
        return f"{self.name}:{self.sha256}"


class KeyRing:
    """All keys of the settings; without one, everybody may use the service."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        """The keys that are good."""
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        """Whether a key is asked for at all."""
        return bool(self._keys)

    def name_of(self, secret: str) -> str | None:
        """Whose key this is, if anybody's. Takes as long for every key, known or not."""
        given, found = digest_of(secret), None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, given):
                found = key.name
        return found


def new_key(name: str) -> tuple[str, ApiKey]:
    """A random key for a client, and what the settings keep of it.

    Raises:
        ValueError: The name could not stand in the settings.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"got the name {name!r:.80}: allowed are 1 to 64 of a-z, A-Z, 0-9, `_`, `.` and `-`")
    secret = PREFIX + token_urlsafe(KEY_BYTES)
    return secret, ApiKey(name, digest_of(secret))


def digest_of(secret: str) -> str:
    """The SHA-256 of a key, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def parse_keys(text: str) -> tuple[ApiKey, ...]:
    """``name:sha256,name:sha256``, as the settings have it; blanks and line breaks around entries do not count.

    Raises:
        ValueError: Says which entry is wrong, by its number: its text may be a key that should not be seen.
    """
    keys: list[ApiKey] = []
    for number, entry in enumerate((part.strip() for part in text.split(",")), start=1):
        if not entry:
            continue  # a comma at the end
        name, _, sha256 = entry.partition(":")
        key = ApiKey(name.strip(), sha256.strip().lower())
        if not NAME.fullmatch(key.name) or not DIGEST.fullmatch(key.sha256):
            raise ValueError(
                f"entry {number} is not name:sha256, a name of a-z, A-Z, 0-9, `_`, `.`, `-` and 64 hexadecimal digits:"
                " `python -m service key NAME` makes a key and its entry"
            )
        if key.sha256 in (known.sha256 for known in keys):
            raise ValueError(f"entry {number} has the same key as one before it: each client needs its own")
        keys.append(key)
    if not keys:
        raise ValueError("it is empty: name a key, or take the variable away, and everybody may use the service")
    return tuple(keys)
