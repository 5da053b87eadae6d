"""Made-up sources: grounding of an answer in search results and in pages."""

import hashlib
import re
from typing import Any

_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s|$)|$)", re.DOTALL)
_PAGES = (
    {"uri": "https://example.com/sandbox/first", "title": "example.com"},
    {"uri": "https://example.org/sandbox/second", "title": "example.org"},
)


def metadata(text: str, part_index: int, query: str) -> dict[str, Any]:
    """``groundingMetadata`` with two pages; segments count UTF-8 bytes of the part."""
    query = " ".join(query.split())[:100]
    return {
        "searchEntryPoint": {
            "renderedContent": '<div class="container">Sandbox search</div>'
        },
        "groundingChunks": [{"web": dict(page)} for page in _PAGES],
        "groundingSupports": _supports(text, part_index),
        "webSearchQueries": [query],
    }


def _supports(text: str, part_index: int) -> list[dict[str, Any]]:
    supports = []
    for index, match in enumerate(_SENTENCE.finditer(text)):
        segment: dict[str, Any] = {
            "startIndex": len(text[: match.start()].encode()),
            "endIndex": len(text[: match.end()].encode()),
            "text": match[0],
            "partIndex": part_index,
        }
        # Proto JSON leaves zeros out.
        bare = {key: value for key, value in segment.items() if value != 0}
        supports.append(
            {"segment": bare, "groundingChunkIndices": [index % len(_PAGES)]}
        )
    return supports


def tool_parts(query: str) -> list[dict[str, Any]]:
    """The server-side search as parts, to be sent back by the caller unchanged."""
    call_id = hashlib.sha256(query.encode()).hexdigest()[:8]
    found = {"results": [page["uri"] for page in _PAGES]}
    tool = {"id": call_id, "toolType": "GOOGLE_SEARCH_WEB"}
    return [
        {"toolCall": {**tool, "args": {"queries": [query[:100]]}}},
        {"toolResponse": {**tool, "response": found}},
    ]


def url_metadata(urls: list[str]) -> dict[str, Any]:
    """``urlContextMetadata`` which claims that every page was read."""
    status = "URL_RETRIEVAL_STATUS_SUCCESS"
    return {
        "urlMetadata": [
            {"retrievedUrl": url, "urlRetrievalStatus": status} for url in urls
        ]
    }
