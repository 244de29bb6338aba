"""Kinds that the board shows in tests and pictures. Their stack loads them by HEADWAY_KIND_MODULES."""

import asyncio

from pydantic import BaseModel, Field

from jobs.kinds import AsyncTaskContext, PermanentError, kind


class EncodeVideoInput(BaseModel):
    """A film."""

    title: str = Field("holiday", description="What it is called.")
    scenes: int = Field(ge=1, le=10_000, description="How many scenes it has.")
    pause_s: float = Field(0.1, ge=0, le=60, description="Seconds that a scene takes.")


class EncodedVideo(BaseModel):
    """What came of it."""

    title: str = Field(description="What it is called.")
    scenes: int = Field(description="How many scenes it has.")


@kind(timeout_s=3_600, max_attempts=3)
async def encode_video(ctx: AsyncTaskContext, input: EncodeVideoInput) -> EncodedVideo:
    """Encode a film scene by scene, with a sentence for each."""
    for scene in range(1, input.scenes + 1):
        await asyncio.sleep(input.pause_s)
        ctx.progress(scene, input.scenes, f"scene {scene} of {input.title}")
        ctx.log(f"encoded scene {scene}")
    return EncodedVideo(title=input.title, scenes=input.scenes)


class CrawlSiteInput(BaseModel):
    """A site."""

    site: str = Field("example.org", description="Where to begin.")
    pages: int = Field(200, ge=1, description="How many pages it has.")
    pause_s: float = Field(1.0, ge=0, le=60, description="Seconds that a page takes.")


class CrawledSite(BaseModel):
    """What was found."""

    pages: int = Field(description="How many pages were read.")


@kind(timeout_s=3_600, max_attempts=3)
async def crawl_site(ctx: AsyncTaskContext, input: CrawlSiteInput) -> CrawledSite:
    """Read the pages of a site, one after the other."""
    for page in range(1, input.pages + 1):
        await asyncio.sleep(input.pause_s)
        ctx.progress(page, input.pages)
    return CrawledSite(pages=input.pages)


class SendReportInput(BaseModel):
    """A report."""

    to: str = Field("nobody@example.org", description="Who is to have it.")


@kind(timeout_s=60, max_attempts=3)
async def send_report(ctx: AsyncTaskContext, input: SendReportInput) -> CrawledSite:
    """Fail at once: there is no such mailbox."""
    raise PermanentError(f"there is no mailbox {input.to}", code="NO_MAILBOX")
