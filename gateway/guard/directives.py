"""The directives by which a schema says what its fields cost; they are published with it.

They are those of the GraphQL Cost Directives specification (https://ibm.github.io/graphql-specs/cost-spec.html).
`gateway.guard.prices` says what is computed from them.
"""

import strawberry
from strawberry import UNSET
from strawberry.schema_directive import Location

LARGE_WEIGHT = "5"
"""Of a value that may be megabytes."""
SCAN_WEIGHT = "25"
"""Of a field that makes MongoDB count or sum up documents, or asks the services."""
CHANGE_WEIGHT = "10"
"""Of a mutation."""
BULK_WEIGHT = "1000"
"""Of a mutation that changes up to 1,000 tasks."""


@strawberry.schema_directive(
    name="cost",
    locations=[Location.FIELD_DEFINITION],
    description="How much a field costs each time it is resolved, before what it is made of. Without it a field of a "
    'scalar or enum costs "0.1", any other "1".',
)
class Cost:
    """A number as text, as the specification has it."""

    weight: str


@strawberry.schema_directive(
    name="listSize",
    locations=[Location.FIELD_DEFINITION],
    description="How many entries a list counts as: what the slicing argument says (a list there counts its entries), "
    "otherwise the assumed size; no more than `maximum`, beyond which the field refuses to answer. The size is that of "
    "the field itself or, if any are named, of its sized fields.",
)
class ListSize:
    """Where a list gets its size from; `maximum` is not in the specification."""

    assumed_size: int | None = UNSET
    slicing_arguments: list[str] | None = UNSET
    sized_fields: list[str] | None = UNSET
    require_one_slicing_argument: bool | None = UNSET
    maximum: int | None = UNSET


def page_size(assumed: int, maximum: int) -> ListSize:
    """Return the size of a Relay connection: `first`, or what it is without it."""
    return ListSize(
        assumed_size=assumed,
        slicing_arguments=["first"],
        sized_fields=["edges", "nodes"],
        require_one_slicing_argument=False,
        maximum=maximum,
    )
