"""Where a chat client finds pictures, and what makes a picture model draw."""

import io
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest

from proxy.consumers import as_request
from proxy.errors import BadRequest
from proxy.surfaces.chat_pictures import display_for
from proxy.surfaces.openai_chat import ask_for_pictures
from proxy.wire.openai_chat import parse_chat

#: User-Agents as the clients send them.
OPEN_WEBUI = "Python/3.11 aiohttp/3.12.15"
LITELLM = "litellm/1.80.0"
OPENAI = "OpenAI/Python 1.99.0"
CHATBOX = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "xyz.chatboxapp.app/1.16.0 Chrome/130.0.0.0 Electron/33.0.0 Safari/537.36"
)
CHERRY = "Mozilla/5.0 CherryStudio/1.5.0 Electron/35.0.0"


def request(**headers: str) -> ASGIRequest:
    lines = [(b"host", b"gate.example:8080")]
    lines += [
        (name.replace("_", "-").encode(), value.encode())
        for name, value in headers.items()
    ]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": lines}
    return ASGIRequest(scope, io.BytesIO())


@pytest.mark.parametrize(
    ("agent", "way"),
    [
        (OPEN_WEBUI, "images"),
        (LITELLM, "images"),
        ("Open-WebUI/0.7", "images"),
        (OPENAI, "markdown"),
        (CHATBOX, "markdown"),
        (CHERRY, "markdown"),
        ("", "markdown"),
    ],
)
def test_clients_that_read_the_list_are_known_by_name(agent: str, way: str) -> None:
    assert display_for(request(user_agent=agent), hosted=False).way == way


@pytest.mark.parametrize("agent", [OPEN_WEBUI, OPENAI])
def test_pictures_that_the_provider_keeps_are_links_for_all(agent: str) -> None:
    assert display_for(request(user_agent=agent), hosted=True).way == "markdown"


@pytest.mark.parametrize("way", ["images", "markdown", "data_url", "both"])
@pytest.mark.parametrize("agent", [OPEN_WEBUI, OPENAI])
def test_the_setting_comes_before_the_name(settings: Any, agent: str, way: str) -> None:
    settings.IMAGES_IN_CHAT = way
    assert display_for(request(user_agent=agent), hosted=False).way == way


@pytest.mark.parametrize(
    ("header", "way"),
    [
        ("images", "images"),
        (" Markdown ", "markdown"),
        ("data_url", "data_url"),
        ("both", "both"),
        ("", "both"),
        # Back to what the name tells.
        ("auto", "images"),
    ],
)
def test_the_header_comes_before_the_setting(
    settings: Any, header: str, way: str
) -> None:
    settings.IMAGES_IN_CHAT = "both"
    asked = request(user_agent=OPEN_WEBUI, x_gemproxy_images=header)
    assert display_for(asked, hosted=False).way == way


def test_a_header_that_names_no_way_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        display_for(request(x_gemproxy_images="inline"), hosted=False)
    assert caught.value.param == "x-gemproxy-images"
    assert "auto, images, markdown, data_url, both" in caught.value.message


def test_a_path_is_made_an_address_on_the_requests_own_host(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["gate.example"]
    display = display_for(request(), hosted=False)
    assert display.absolute("/images/a.png") == (
        "http://gate.example:8080/images/a.png"
    )


def test_a_proxy_in_front_tells_the_scheme(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    display = display_for(request(x_forwarded_proto="https"), hosted=False)
    assert display.absolute("/x") == "https://gate.example:8080/x"


def test_under_a_host_that_is_not_ours_there_is_no_address(settings: Any) -> None:
    # Once such a name is enough for chat, its pictures must not end the answer.
    settings.ALLOWED_HOSTS = ["other.example"]
    assert display_for(request(), hosted=False).absolute("/x") == ""


@pytest.mark.parametrize(("scheme", "http"), [("ws", "http"), ("wss", "https")])
def test_a_sockets_handshake_reads_as_a_request(
    settings: Any, scheme: str, http: str
) -> None:
    settings.ALLOWED_HOSTS = ["gate.example"]
    scope = {
        "type": "websocket",
        "scheme": scheme,
        "path": "/ws/chat",
        "query_string": b"",
        "headers": [(b"host", b"gate.example"), (b"x-gemproxy-images", b"both")],
        "subprotocols": [],
    }
    display = display_for(as_request(scope), hosted=False)
    assert display.way == "both"
    assert display.absolute("/x") == f"{http}://gate.example/x"


def chat(**fields: Any) -> Any:
    asked = {"model": "m", "messages": [{"role": "user", "content": "a cat"}], **fields}
    return parse_chat(asked, upstream_model="gemini-2.5-flash-image", signatures={})


def test_a_picture_model_is_told_to_draw() -> None:
    found = chat(temperature=0.5)
    ask_for_pictures(found)
    config = found.body["generationConfig"]
    assert config == {"temperature": 0.5, "responseModalities": ["TEXT", "IMAGE"]}
    assert "images_out" in found.needs


def test_a_request_without_any_settings_is_told_so_too() -> None:
    found = chat()
    ask_for_pictures(found)
    assert found.body["generationConfig"]["responseModalities"] == ["TEXT", "IMAGE"]


def test_who_wants_json_gets_no_picture() -> None:
    found = chat(response_format={"type": "json_object"})
    ask_for_pictures(found)
    assert "responseModalities" not in found.body["generationConfig"]
    assert "images_out" not in found.needs
