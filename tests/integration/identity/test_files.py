"""A task's file is for whoever may see the task, whichever way its caller is known."""

import httpx
import pytest

from core.documents import Role
from gateway.identity.keys import new_key
from tests.integration.exports.stored import stored_file
from tests.integration.identity.conftest import Serve, bearer

NOBODYS = "0198c0de-0000-7000-8000-000000000000"


@pytest.mark.parametrize("way", ["keys", "jwt"])
async def test_file_is_its_owner_s_and_an_admin_s_and_for_others_does_not_exist(serve: Serve, way: str) -> None:
    edge = await serve(auth=way, **({"jwt_secret": None} if way == "keys" else {}))
    file = await stored_file(b"name\nmine\n", owner="alice")

    async def credential(owner: str, role: Role) -> dict[str, str]:
        if way == "jwt":
            return bearer(owner, role.value)
        text, key = new_key("test", owner, role, None)
        await key.insert()
        return {"Authorization": f"Bearer {text}"}

    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:

        async def fetch(ident: object, headers: dict[str, str]) -> httpx.Response:
            return await http.get(f"/files/{ident}", headers=headers)

        for owner, role in (("alice", Role.VIEWER), ("alice", Role.OPERATOR), ("root", Role.ADMIN)):
            answer = await fetch(file.id, await credential(owner, role))
            assert (answer.status_code, answer.content) == (200, b"name\nmine\n")
        bob = await credential("bob", Role.OPERATOR)
        of_another, of_nobody = await fetch(file.id, bob), await fetch(NOBODYS, bob)
        assert (of_another.status_code, of_nobody.status_code) == (404, 404)
        assert of_another.text.replace(str(file.id), NOBODYS) == of_nobody.text
        for headers in ({}, {"Authorization": "Bearer nonsense"}):
            for ident in (file.id, NOBODYS):
                unknown = await fetch(ident, headers)
                assert (unknown.status_code, unknown.headers["www-authenticate"]) == (401, "Bearer")


async def test_downloads_take_their_size_from_the_caller_s_minute(serve: Serve) -> None:
    edge = await serve(cost_per_minute=250)
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        path = f"/files/{(await stored_file(b'x' * 1_500_000, owner='alice')).id}"
        alice = bearer("alice")
        assert (await http.head(path, headers=alice)).status_code == 200
        assert (await http.get(path, headers=alice)).status_code == 200
        refused = await http.get(path, headers=alice)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await http.get(path, headers=bearer("root", "admin"))).status_code == 200
