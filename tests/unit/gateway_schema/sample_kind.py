"""A kind with every form of field, made without the registry so that it can't leak into schema.graphql."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, field_validator, model_validator

from jobs.kinds import Kind, TaskContext


class Colour(Enum):
    """A colour."""

    RED = "red"
    DARK_BLUE = "dark-blue"


class Corner(BaseModel):
    """A corner of a shape."""

    x_pos: float = Field(description="To the right.")
    y_pos: float = Field(0.0, ge=0, lt=100)


class PaintInput(BaseModel):
    """What to paint."""

    title: str = Field(min_length=1, max_length=20, description="The title.")
    colour: Colour = Colour.RED
    style: Literal["OIL", "INK"] = "OIL"
    dpi: Literal[72, 300] = 72
    copies: int = Field(1, ge=1, le=50)
    serial: int = Field(0, ge=0, le=2**40)
    corners: list[Corner] = Field(default_factory=list, max_length=3)
    tags: list[Annotated[str, Field(max_length=5)]] = Field(default_factory=list)
    due: datetime | None = None
    price: Decimal = Decimal("1.5")
    ref: UUID | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    anything: int | str | None = None

    @field_validator("title")
    @classmethod
    def _not_banned(cls, title: str) -> str:
        if title == "banned":
            raise ValueError("expected a title that is not banned")
        return title

    @model_validator(mode="after")
    def _fits(self) -> "PaintInput":
        if self.copies == 50 and self.colour is Colour.DARK_BLUE:
            raise ValueError("fewer copies of dark blue")
        return self


class Layer(BaseModel):
    layer_no: int
    corner: Corner | None = None


class PaintResult(BaseModel):
    """What was painted."""

    layers: list[Layer] = Field(description="From the bottom up.")
    colour: Colour = Field(description="The main one.")
    bytes_written: int = Field(ge=0, le=2**50)
    finished: datetime = Field(description="When.")


def paint_picture(ctx: TaskContext, input: PaintInput) -> PaintResult:
    """Paint a picture."""
    raise NotImplementedError


PAINT = Kind("paintPicture", "Paint a picture.", PaintInput, PaintResult, paint_picture, timeout_s=60, max_attempts=2)
