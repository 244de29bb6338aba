"""The kind processData: work that keeps a processor busy and whose result anyone can verify."""

import hashlib

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.settings import Settings
from jobs.kinds import TaskContext, kind

MAX_ITERATIONS = 10_000
MAX_DATA_BYTES = 64 * 1024


class ProcessDataInput(BaseModel):
    """What to hash, and how often."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str = Field(description="The text to process: at most 64 KB (65,536 bytes) in UTF-8; it may be empty.")
    iterations: int = Field(
        100, ge=1, le=MAX_ITERATIONS, strict=True, description="How many digests to compute, 1 to 10,000."
    )

    @field_validator("data")
    @classmethod
    def _is_small(cls, data: str) -> str:
        try:
            size = len(data.encode())
        except UnicodeEncodeError as exc:
            raise ValueError("expected text that is valid Unicode (no lone surrogates)") from exc
        if size > MAX_DATA_BYTES:
            raise ValueError(f"expected at most {MAX_DATA_BYTES:,} bytes in UTF-8")
        return data


class ProcessedItem(BaseModel):
    """What one iteration yields."""

    index: int = Field(description="The iteration's number, from 0.")
    digest: str = Field(
        description="64 hexadecimal digits: SHA-256 of the previous iteration's digest (32 bytes; none before the "
        "first) followed by the data in UTF-8, then hashed again by SHA-256 until `rounds` rounds are done."
    )


class ProcessDataResult(BaseModel):
    """Every digest of the chain, in order."""

    processed_items: list[ProcessedItem] = Field(description="One entry an iteration, in order of `index`.")
    total_processed: int = Field(description="How many iterations were done: the number of processed items.")
    rounds: int = Field(description="Rounds of SHA-256 in each iteration, as this installation is configured.")


@kind(timeout_s=600, max_attempts=3)
def process_data(ctx: TaskContext, input: ProcessDataInput) -> ProcessDataResult:
    """Compute a chain of SHA-256 digests over a text: one digest an iteration, each depending on the one before.

    Iteration i starts from SHA-256(previous digest + data in UTF-8), where the first has no previous digest, and hashes
    the outcome again until `rounds` rounds are done. The same input and rounds always give the same digests.
    """
    rounds = Settings().process_data_rounds
    data = input.data.encode()
    digest = b""
    items: list[ProcessedItem] = []
    for index in range(input.iterations):
        digest = hashlib.sha256(digest + data).digest()
        for _ in range(rounds - 1):
            digest = hashlib.sha256(digest).digest()
        items.append(ProcessedItem(index=index, digest=digest.hex()))
        ctx.progress(index + 1, input.iterations)
    return ProcessDataResult(processed_items=items, total_processed=len(items), rounds=rounds)
