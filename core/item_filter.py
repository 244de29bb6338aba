"""Which items are meant: the filter that lists and tasks share, and the conditions on MongoDB that it stands for."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.errors import BadUserInput
from core.items import MAX_METADATA_DEPTH, MAX_NAME_CHARS, validate_metadata, validate_metadata_key

MAX_METADATA_CONDITIONS = 10


class MetadataCondition(Protocol):
    """A path inside the metadata and the value that must stand there."""

    @property
    def path(self) -> str: ...

    @property
    def value(self) -> Any: ...


class ItemConditions(Protocol):
    """Conditions on items. What is empty, None or unset is none."""

    @property
    def name_prefix(self) -> str | None: ...

    @property
    def name_contains(self) -> str | None: ...

    @property
    def metadata(self) -> Sequence[MetadataCondition] | None: ...

    @property
    def created_from(self) -> datetime | None: ...

    @property
    def created_to(self) -> datetime | None: ...


class MetadataEquals(BaseModel):
    """A condition on one value inside the metadata."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="Names joined by dots, such as `address.city`.")
    value: Any | None = Field(description="What must stand there.")


class ItemFilter(BaseModel):
    """Which items: those that meet every condition given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name_prefix: str | None = Field(None, description="The name begins with this text.")
    name_contains: str | None = Field(None, description="The name contains this text.")
    metadata: list[MetadataEquals] | None = Field(None, description="Values that the metadata must have.")
    created_from: datetime | None = Field(None, description="Made at this moment or later.")
    created_to: datetime | None = Field(None, description="Made before this moment.")

    @field_validator("created_from", "created_to")
    @classmethod
    def _has_an_offset(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and moment.tzinfo is None:
            raise ValueError("expected a date and time with an offset, such as 2026-01-31T12:00:00Z")
        return moment


def item_query(conditions: ItemConditions) -> dict[str, Any]:
    """Return the filter for MongoDB. Raises BadUserInput naming the condition as clients do, below `filter`."""
    found: list[dict[str, Any]] = []
    if conditions.name_prefix:
        found.append({"name": {"$regex": "^" + _escaped(conditions.name_prefix, "filter.namePrefix")}})
    if conditions.name_contains:
        found.append({"name": {"$regex": _escaped(conditions.name_contains, "filter.nameContains")}})
    parts = conditions.metadata or ()
    if len(parts) > MAX_METADATA_CONDITIONS:
        raise BadUserInput("filter.metadata", f"at most {MAX_METADATA_CONDITIONS} conditions")
    found += [_metadata_query(part, f"filter.metadata.{index}") for index, part in enumerate(parts)]
    found += created_between(conditions.created_from, conditions.created_to)
    return {"$and": found} if len(found) > 1 else found[0] if found else {}


def created_between(since: datetime | None, before: datetime | None) -> list[dict[str, Any]]:
    """Return the condition on the moment of creation, as a list of none or one."""
    bounds = {"$gte": since, "$lt": before}
    given = {operator: bound for operator, bound in bounds.items() if bound}
    return [{"created_at": given}] if given else []


def _metadata_query(condition: MetadataCondition, field: str) -> dict[str, Any]:
    parts = condition.path.split(".")
    if len(parts) > MAX_METADATA_DEPTH:
        raise BadUserInput(f"{field}.path", f"at most {MAX_METADATA_DEPTH} names", got=condition.path)
    for part in parts:
        validate_metadata_key(part, f"{field}.path")
    validate_metadata({"value": condition.value}, field)
    return {"metadata." + condition.path: {"$eq": condition.value}}


def _escaped(text: str, field: str) -> str:
    if len(text) > MAX_NAME_CHARS or "\0" in text:
        raise BadUserInput(field, f"at most {MAX_NAME_CHARS} characters and no NUL", got=text)
    return re.escape(text)
