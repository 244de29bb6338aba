"""What an HTTP request is refused with before any operation is looked at."""

from collections.abc import Mapping

from gateway.operations import Outcome


class Refusal(Exception):
    """Answered with `status`, and a GraphQL error of this code in the negotiated media type."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    @property
    def outcome(self) -> Outcome:
        """The refusal as a GraphQL response."""
        return Outcome(None, ({"message": str(self), "extensions": {"code": self.code}},), began=False)
