"""What a kind's result has to be."""

from typing import Any

import pytest
from pydantic import BaseModel

from jobs.outcome import RESULT_LEVELS, Raised, Returned, returned


class Anything(BaseModel):
    """A result whose shape is free."""

    value: Any


def nested(levels: int, *, in_lists: bool = False) -> Anything:
    """Return a result of so many levels, its own counted."""
    value: object = 1
    for _ in range(levels - 1):
        value = [value] if in_lists else {"inner": value}
    return Anything(value=value)


@pytest.mark.parametrize("in_lists", [False, True])
def test_result_that_mongodb_would_refuse_for_its_depth_is_no_result(in_lists: bool) -> None:
    assert isinstance(returned(nested(RESULT_LEVELS, in_lists=in_lists), Anything), Returned)
    refused = returned(nested(RESULT_LEVELS + 1, in_lists=in_lists), Anything)
    assert isinstance(refused, Raised)
    assert (refused.code, refused.is_permanent) == ("BAD_RESULT", True)
