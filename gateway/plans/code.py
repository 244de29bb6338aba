"""Python functions that are written for one document, and the values that they know by name.

Of the client's text nothing goes into the code: what comes from a document, such as an alias, is a constant.
"""

from typing import Any, NoReturn


class Unfit(Exception):  # It is no error: graphql-core takes over.
    """A value is not what the fast way is made for."""


def give_up() -> NoReturn:
    """Leave the value to graphql-core. Raises Unfit."""
    raise Unfit


class Code:
    """Functions that are being written together, so that one may call another."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._names: dict[str, Any] = {"give_up": give_up}

    def name(self, prefix: str) -> str:
        """Return a name that stands for nothing yet."""
        name = f"{prefix}{len(self._names)}"
        self._names[name] = None
        return name

    def constant(self, value: object) -> str:
        """Return a name that stands for a value."""
        name = self.name("c")
        self._names[name] = value
        return name

    def add(self, *lines: str) -> None:
        """Add lines; what they name has to stand there when they run, not before."""
        self._lines += lines

    def compile(self, name: str) -> Any:
        """Return the function of this name."""
        exec(compile("\n".join(self._lines), "<plan>", "exec"), self._names)  # The schema's own names.
        return self._names[name]
