"""``StyleStore``: registered styles in Redis. They have no expiry: with an append-only file they outlive everything.

    about      id, title, artist, year, rights, digest of the painting, as JSON    what is listed
    painting   the uploaded picture, bounded in size                               what workers encode
    preview    a photo painted in the style

Styles are numbered in the order of their registration, so a page of them is what follows a number, whatever was deleted
since.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from model_store.checkpoint_metadata import STYLE_ID
from service.errors import Conflict
from service.queue.contract import from_document
from service.queue.keys import Keys
from service.queue.redis_client import RedisClient
from service.settings import QueueSettings


@dataclass(frozen=True)
class RegisteredStyle:
    """A registered style, as it is listed; ``digest`` is ``digest_of`` its stored painting."""

    id: str
    title: str
    artist: str
    year: int | None
    rights: str
    digest: str

    @classmethod
    def from_json(cls, text: bytes) -> "RegisteredStyle":
        """Read what ``about`` holds."""
        return from_document(cls, json.loads(text))


def digest_of(painting: bytes) -> str:
    """Return a style image's digest, the key of its encoded style in caches: SHA-256, hexadecimal."""
    return hashlib.sha256(painting).hexdigest()


class StyleStore:
    """One process's view of the registered styles."""

    def __init__(self, redis: RedisClient, settings: QueueSettings) -> None:
        self._redis = redis
        self._limit = settings.max_styles
        self._keys = Keys(settings.key_prefix)

    async def require_room(self) -> None:
        """Before work is spent on one more.

        Raises:
            Conflict: As many are registered as are allowed to.
        """
        async with self._redis.translated():
            count = await self._redis.commands.zcard(self._keys.styles[0])
        if count >= self._limit:
            raise self._full(count)

    async def add(self, style: RegisteredStyle, painting: bytes, preview: bytes) -> bool:
        """Keep a style for ever, with a file of bounded size and a WebP file.

        Returns:
            Whether its id was free; if not, nothing has changed.

        Raises:
            Conflict: As many are registered as are allowed to.
        """
        values: list[str | bytes] = ["about", json.dumps(asdict(style)), "preview", preview, "painting", painting]
        staged = await self._redis.stage(self._keys.staged(), values)
        keys = [self._keys.style(style.id), *self._keys.styles, staged]
        number = await self._redis.run("add_style", keys, [self._limit, style.id])
        if number == 0:
            raise self._full(self._limit)
        return bool(number > 0)

    async def remove(self, style_id: str) -> bool:
        """Forget a style; says whether there was one."""
        if not STYLE_ID.fullmatch(style_id):
            return False
        keys = [self._keys.style(style_id), self._keys.styles[0]]
        return bool(await self._redis.run("remove_style", keys, [style_id]))

    async def find(self, style_ids: Iterable[str]) -> dict[str, RegisteredStyle]:
        """Those of these styles that are registered, by id."""
        wanted = [style_id for style_id in dict.fromkeys(style_ids) if STYLE_ID.fullmatch(style_id)]
        return {style.id: style for style in await self._load(wanted)}

    async def after(self, number: int, count: int) -> list[tuple[int, RegisteredStyle]]:
        """The next ``count`` styles behind a number, each with its own; 0 is before the first."""
        async with self._redis.translated():
            found = await self._redis.commands.zrangebyscore(
                self._keys.styles[0], f"({number}", "+inf", start=0, num=count, withscores=True
            )
        numbers = {style_id.decode(): int(score) for style_id, score in found}
        return [(numbers[style.id], style) for style in await self._load(list(numbers))]

    async def preview(self, style_id: str) -> bytes | None:
        """A photo painted in the style, a WebP file; ``None`` if there is no such style."""
        return await self._file(style_id, "preview")

    async def painting(self, style_id: str) -> bytes | None:
        """The style image that was registered, a JPEG file of bounded size; ``None`` if there is no such style."""
        return await self._file(style_id, "painting")

    async def _file(self, style_id: str, field: str) -> bytes | None:
        if not STYLE_ID.fullmatch(style_id):
            return None
        async with self._redis.translated():
            file: bytes | None = await self._redis.commands.hget(self._keys.style(style_id), field)
        return file

    async def _load(self, style_ids: Sequence[str]) -> list[RegisteredStyle]:
        if not style_ids:
            return []
        async with self._redis.translated():
            pipe = self._redis.commands.pipeline(transaction=False)
            for style_id in style_ids:
                pipe.hget(self._keys.style(style_id), "about")
            found = await pipe.execute()
        return [RegisteredStyle.from_json(about) for about in found if about is not None]

    def _full(self, count: int) -> Conflict:
        return Conflict(
            f"{count} styles are registered, at most {self._limit} are allowed: DELETE /styles/{{id}} one that is no"
            " longer needed"
        )
