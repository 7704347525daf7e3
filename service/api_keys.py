"""API keys. Only their SHA-256 is kept, in the settings.

A key is 256 random bits, so a plain hash protects it: slow hashes are for passwords, which can be guessed. It begins
with ``stylize_``, so that scanners for leaked secrets can recognise it.

    STYLIZE_API_KEYS=alice:9f86d081…,bob:60303ae2…

A name may have several keys: while a client changes from one to the other, both are valid.
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
        return f"{self.name}:{self.sha256}"


def name_of(secret: str, keys: Iterable[ApiKey]) -> str | None:
    """Find the name of a key, in constant time; ``None`` if the key is unknown."""
    given, found = digest_of(secret), None
    for key in keys:
        if hmac.compare_digest(key.sha256, given):
            found = key.name
    return found


def new_key(name: str) -> tuple[str, ApiKey]:
    """Make a random key for a client, and the entry for the settings.

    Raises:
        ValueError: The name has characters that the settings do not allow.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"got the name {name!r:.80}: allowed are 1 to 64 of a-z, A-Z, 0-9, `_`, `.` and `-`")
    secret = PREFIX + token_urlsafe(KEY_BYTES)
    return secret, ApiKey(name, digest_of(secret))


def digest_of(secret: str) -> str:
    """Hash a key: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def parse_keys(text: str) -> tuple[ApiKey, ...]:
    """Parse ``name:sha256,name:sha256``; blanks and line breaks around entries do not count.

    Raises:
        ValueError: An entry is wrong. The message names its number, since its text may be a secret.
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
                " `stylize key NAME` makes a key and its entry"
            )
        if key.sha256 in (known.sha256 for known in keys):
            raise ValueError(f"entry {number} has the same key as an earlier one: each client needs a key of its own")
        keys.append(key)
    if not keys:
        raise ValueError("it is empty: add a key; or remove the variable, and everybody may use the service")
    return tuple(keys)
