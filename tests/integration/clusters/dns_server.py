"""A name server on this machine that pymongo's resolver asks for `mongodb+srv` addresses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.asyncresolver
import dns.message
import dns.resolver
import dns.rrset
import pytest

Records = dict[tuple[str, str], list[str]]
"""By name and type."""


class NameServer(asyncio.DatagramProtocol):
    """Answers what it knows; anything else does not exist."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # Python 3.11's is none by its class.

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question."""
        question = dns.message.from_wire(data)
        response = dns.message.make_response(question)
        asked = question.question[0]
        name, rdtype = asked.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(asked.rdtype)
        if texts := self.records.get((name, rdtype)):
            response.answer.append(dns.rrset.from_text(asked.name, 60, "IN", rdtype, *texts))
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def name_server(records: Records, patch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Run it, and have this process's resolvers ask it alone."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(records), local_addr=("127.0.0.1", 0))
    for module in (dns.resolver, dns.asyncresolver):
        resolver = module.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = transport.get_extra_info("sockname")[1]
        patch.setattr(module, "default_resolver", resolver)
    try:
        yield
    finally:
        transport.close()
