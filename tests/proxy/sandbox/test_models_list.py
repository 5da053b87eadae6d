"""The list of models, and single ones."""

import pytest

from proxy.sandbox.keys import sandbox_key

KEYED = {"x-goog-api-key": sandbox_key()}
EXPECTED = {
    "gemini-3.1-pro-preview",
    "gemini-3-pro-preview",
    "gemini-3-flash-preview",
    "gemini-3.5-flash",
    "gemini-3.5-flash-lite",
    "gemini-3.6-flash",
    "gemini-3.7-flash",
    "gemini-3.8-flash",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.5-flash-image",
    "gemini-3-pro-image-preview",
    "gemini-2.0-flash",
    "gemini-embedding-001",
}


async def page(client, query=""):
    response = await client.get(f"/v1beta/models{query}", headers=KEYED)
    assert response.status_code == 200
    return response.json()


async def test_the_list_has_all_models_on_one_page(client):
    listed = await page(client)
    names = {each["name"].removeprefix("models/") for each in listed["models"]}
    assert names >= EXPECTED
    assert any(name.startswith("gemma-4") for name in names)
    assert "nextPageToken" not in listed


async def test_every_model_has_the_fields_that_clients_read(client):
    for each in (await page(client))["models"]:
        assert each["supportedGenerationMethods"]
        assert each["inputTokenLimit"] > 0
        assert each["outputTokenLimit"] > 0
        assert each["displayName"]
        assert each["version"]


async def test_thinking_is_told_only_of_models_that_think(client):
    thinking = {
        each["name"]: each.get("thinking") for each in (await page(client))["models"]
    }
    assert thinking["models/gemini-2.5-pro"] is True
    assert thinking["models/gemini-2.0-flash"] is None
    assert thinking["models/gemini-embedding-001"] is None


async def test_pages_lead_from_one_to_the_next_without_loss(client):
    names, token = [], ""
    for _ in range(10):
        listed = await page(client, f"?pageSize=4&pageToken={token}")
        assert len(listed["models"]) <= 4
        names += [each["name"] for each in listed["models"]]
        token = listed.get("nextPageToken")
        if not token:
            break
    everything = [each["name"] for each in (await page(client))["models"]]
    assert names == everything


@pytest.mark.parametrize("size", ["0", "1000", "5000"])
async def test_large_and_zero_page_sizes_are_taken(client, size):
    assert (await page(client, f"?pageSize={size}"))["models"]


@pytest.mark.parametrize(
    "query", ["?pageSize=x", "?pageSize=-1", "?pageToken=bad", "?pageToken=ZnJvbQ=="]
)
async def test_a_bad_page_is_an_invalid_argument(client, query):
    response = await client.get(f"/v1beta/models{query}", headers=KEYED)
    assert response.json()["error"]["status"] == "INVALID_ARGUMENT"


async def test_one_model_is_the_same_as_in_the_list(client):
    response = await client.get("/v1/models/gemini-2.5-pro", headers=KEYED)
    listed = {each["name"]: each for each in (await page(client))["models"]}
    assert response.json() == listed["models/gemini-2.5-pro"]


async def test_an_unknown_model_is_not_found(client):
    response = await client.get("/v1beta/models/gpt-4", headers=KEYED)
    assert response.json()["error"]["status"] == "NOT_FOUND"


async def test_there_are_no_tuned_models(client):
    response = await client.get("/v1beta/tunedModels", headers=KEYED)
    assert (response.status_code, response.json()) == (200, {})


async def test_listing_needs_a_key(client):
    response = await client.get("/v1beta/models")
    assert response.status_code == 403
