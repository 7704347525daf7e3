"""Forms, and the refusal of fields and parameters that would be ignored."""

import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import Annotated, Any, get_origin

from fastapi import Depends, Request, UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.datastructures import QueryParams

from service.errors import InvalidField
from service.request import StylizeRequest


class StylizeForm(StylizeRequest[UploadFile]):
    """The form of ``POST /stylize``."""

    async def read(self) -> StylizeRequest[bytes]:
        """Read the files."""
        files = {
            "content": await self.content.read(),
            "style": [await upload.read() for upload in self.style],
            "mask": [await upload.read() for upload in self.mask],
        }
        return StylizeRequest[bytes].model_validate({**dict(self), **files})


BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates: they reach beyond the text, and may make it look like another."""


def _one_line(text: object) -> object:
    """Put a text on one line, without spaces around it."""
    if not isinstance(text, str):
        return text
    text = " ".join(text.split())
    if any(character in BIDI_CONTROLS or unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("it has control characters, or overrides of the writing direction: leave them out")
    return text if any(unicodedata.category(character)[0] not in "CZ" for character in text) else ""


class RegisterStyleForm(BaseModel):
    """The form of ``POST /styles``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: UploadFile = Field(description="The painting: JPEG, PNG, WebP or AVIF.")
    title: Annotated[str, Field(min_length=1, max_length=120), BeforeValidator(_one_line)] = Field(
        description="Name of the style."
    )
    artist: Annotated[str, Field(max_length=120), BeforeValidator(_one_line)] = Field("", description="Who made it.")
    year: int | None = Field(None, ge=-5000, le=2100, description="When it was made.")
    rights: Annotated[str, Field(max_length=500), BeforeValidator(_one_line)] = Field(
        "", description="Who may use it and how."
    )


def only_fields_of(form: type[BaseModel]) -> Any:
    """Make a dependency that refuses a form with other fields than ``form`` has, and any parameter in the address.

    FastAPI itself takes the last of repeated values, and an empty text for none. An empty text is left to it where the
    field is required, or empty by default.
    """
    fields = form.model_fields
    repeated = [name for name, field in fields.items() if get_origin(field.annotation) is list]
    may_be_empty = [name for name, field in fields.items() if field.is_required() or field.default == ""]

    async def check(request: Request) -> None:
        check_query(request.query_params)
        check_fields((await request.form()).multi_items(), tuple(fields), repeated, may_be_empty)

    return Depends(check)


def check_fields(
    fields: Iterable[tuple[str, object]],
    known: Sequence[str],
    repeated: Container[str] = (),
    may_be_empty: Container[str] = (),
) -> None:
    """Refuse a misspelt, repeated or empty field: the answer would not be what was asked for.

    Raises:
        InvalidField: Names the first such field.
    """
    fields = list(fields)
    _check_names(fields, known, repeated, "field", f": known are {', '.join(known)}")
    for name, value in fields:
        if value == "" and name not in may_be_empty:
            raise InvalidField("this field is empty: leave it out, or send a value", field=name)


def check_query(query: QueryParams, known: Sequence[str] = ()) -> None:
    """Refuse an unknown or repeated parameter behind the path's ``?``.

    Raises:
        InvalidField: Names the first.
    """
    allowed = f"known are {', '.join(known)}" if known else "there are none here, send fields in the body"
    _check_names(query.multi_items(), known, (), "parameter", f" in the address: {allowed}")


def _check_names(
    sent: Iterable[tuple[str, object]], known: Sequence[str], repeated: Container[str], what: str, allowed: str
) -> None:
    for name, count in Counter(name for name, _ in sent).items():
        if name not in known:
            raise InvalidField(f"unknown {what} {name!r:.80}{allowed}", field=name[:80])
        if count > 1 and name not in repeated:
            raise InvalidField(f"got this {what} {count} times: send it once", field=name)
