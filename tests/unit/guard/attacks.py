"""Documents that were made to hurt, each with the code that has to answer it, and a count of the work it causes."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def chained(levels: int, fan: int) -> str:
    """Return fragments of which each spreads the next one `fan` times."""
    spreads = " ".join(f"fragment F{n} on Query{{{f'...F{n + 1} ' * fan}}}" for n in range(levels))
    return f"{{...F0}} {spreads} fragment F{levels} on Query{{__typename}}"


def repeat(pattern: str, count: int) -> str:
    """Return a pattern so many times, with `%d` counting."""
    return " ".join(pattern.replace("%d", str(number)) for number in range(count))


COMPLEX, PARSE, INVALID = "QUERY_TOO_COMPLEX", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"

ATTACKS: dict[str, tuple[str, str]] = {
    "fragment bomb of 667 bytes": (chained(15, 2).replace("__typename", "id"), COMPLEX),
    "fragment bomb as long as it may be": (chained(180, 2), COMPLEX),
    "fragments spread by all": ("{...F0}" + repeat(f"fragment F%d on Query{{{repeat('...F%d', 30)}}}", 30), INVALID),
    "fragments in a circle": (
        "{...F0}" + "".join(f"fragment F{n} on Query{{...F{(n + 1) % 200}}}" for n in range(200)),
        COMPLEX,
    ),
    "fragment that spreads itself": ("{...F} fragment F on Query{...F ...F health{status}}", INVALID),
    "aliases": (f"{{{repeat('a%d:health{status}', 300)}}}", COMPLEX),
    "aliases in depth": (f"{{items{{{repeat('a%d:totalCount', 40)}}}}}", COMPLEX),
    "root fields": ("{" + "health{status} " * 400 + "}", COMPLEX),
    "equal fields in depth": ("{items{" + "nodes{id} " * 480 + "}}", COMPLEX),
    "equal fields with arguments": ('{batch(id:"a"){' + "tasks(first:1){totalCount}" * 190 + "}}", COMPLEX),
    "equal fields in fragments": (
        f"{{items{{{repeat('...F%d', 18)}}}}}"
        + repeat("fragment F%d on ItemConnection{nodes{id name} edges{node{id}}}", 60),
        INVALID,
    ),
    "depth": ("{items{" + "nodes{" * 20 + "id" + "}" * 22, COMPLEX),
    "depth beyond the parser": ("{items" + "{nodes" * 900 + "}" * 901, COMPLEX),
    "inline fragments in inline fragments": ("{" + "...{" * 150 + "__typename" + "}" * 151, COMPLEX),
    "directives": ("{__typename " + "@a " * 900 + "}", COMPLEX),
    "directives that exist": (
        "{" + repeat("a%d:__typename @include(if:true)", 5) + "__typename" + "@skip(if:false)" * 60 + "}",
        COMPLEX,
    ),
    "variables": (f"query({repeat('$a%d:Int', 450)}){{__typename}}", INVALID),
    "unknown fields": (f"{{items{{{repeat('nods%d', 1900)}}}}}", INVALID),
    "unknown fragments": (f"{{items{{{repeat('...f%d', 900)}}}}}", INVALID),
    "lists in lists": ("{item(id:" + "[" * 900 + "]" * 900 + "){id}}", COMPLEX),
    "tokens": ("{" + "__typename " * 2_000 + "}", COMPLEX),
    "introspection in introspection": ("{__schema{types{fields{type{fields{type{fields{name}}}}}}}}", INVALID),
    "introspection many times": (f"{{{repeat('a%d:__schema{types{fields{name}}}', 40)}}}", COMPLEX),
    "a name of 100,000 letters": (f"{{{'a' * 100_000}}}", INVALID),
    "many long names": (f"{{items{{{repeat('a' * 5_000 + '%d', 25)}}}}}", INVALID),
    "one million comments": ("#\n" * 1_000_000 + "{__typename}", COMPLEX),
    "one million commas": ("," * 1_000_000 + "{__typename}", COMPLEX),
    "comments up to the limit": ("#\n" * 65_000 + "{", PARSE),
    "a text up to the limit": ('{item(id:"""' + "a\n" * 65_000 + '"""){name(x:1)}}', INVALID),
}


def count_calls(work: Callable[[], Any]) -> int:
    """Return how many Python and C functions some work calls: the same on every machine, however busy."""
    calls = 0

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls
