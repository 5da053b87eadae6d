"""The imitation of gemini.google.com is strict, and fails as it is told to."""

import asyncio
import json
import ssl
import uuid
from urllib.parse import urlencode

import httpx
import pytest

from proxy.sandbox.web_accounts import NAMES, label, sandbox_psid, sandbox_psidts
from proxy.sandbox.web_frames import PREFIX, batch, frame
from proxy.sandbox.web_proxy import web_sandbox

SITE = "https://gemini.google.com"
DATA = f"{SITE}/_/BardChatUi/data"
GENERATE = f"{DATA}/assistant.lamda.BardFrontendService/StreamGenerate"
FORM = {
    "content-type": "application/x-www-form-urlencoded;charset=utf-8",
    "origin": SITE,
    "x-same-domain": "1",
}
ROTATE = "https://accounts.google.com/RotateCookies"
ROTATION = '[000,"-0000000000000000000"]'


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    with web_sandbox(folder) as running:
        running.folder = folder
        yield running


@pytest.fixture
def site(box):
    box.site.people.reset()
    trust = ssl.create_default_context(cafile=str(box.folder / "sandbox-ca.pem"))
    with httpx.Client(proxy=box.proxy_url, verify=trust) as client:
        yield client


def cookies(behaviour="ok", revision=1):
    psid = sandbox_psid(behaviour)
    pair = {"__Secure-1PSID": psid, "__Secure-1PSIDTS": sandbox_psidts(psid, revision)}
    return {"cookie": "; ".join(f"{k}={v}" for k, v in pair.items())}


def token(box, behaviour="ok"):
    return box.site.people.person(sandbox_psid(behaviour)).token


def slots(text="Hello", **changes):
    """The list that the site's page sends, with some slots changed."""
    made = [None] * 81
    request_id = str(uuid.uuid4()).upper()
    made[0] = [text, 0, None, None, None, None, 0]
    made[1], made[2] = ["en"], ["", "", "", *[None] * 6, ""]
    made[6], made[7], made[10], made[11] = [1], 1, 1, 0
    made[17], made[18], made[27], made[30] = [[0]], 0, 1, [4]
    made[41], made[53], made[59], made[61] = [1], 0, request_id, []
    made[68], made[79], made[80] = 1, 1, 1
    for index, value in changes.items():
        made[int(index.removeprefix("at"))] = value
    return made


def generate(site, box, made, behaviour="ok", **headers):
    told = {"x-goog-ext-525005358-jspb": json.dumps([made[59], 1])}
    data = {
        "at": token(box, behaviour),
        "f.req": json.dumps([None, json.dumps(made)]),
    }
    head = {**FORM, **cookies(behaviour), **told, **headers}
    return site.post(GENERATE, content=urlencode(data), headers=head)


def call(site, box, name="otAQ7b", payload="[]", behaviour="ok", **changes):
    query = {"rpcids": name, "rt": "c", "_reqid": "1", "source-path": "/app"}
    data = {
        "at": token(box, behaviour),
        "f.req": json.dumps([[[name, payload, None, "generic"]]]),
    }
    return site.post(
        f"{DATA}/batchexecute",
        params=query | changes.get("query", {}),
        content=urlencode(data | changes.get("form", {})),
        headers={**FORM, **cookies(behaviour), **changes.get("headers", {})},
    )


def rows(text):
    """The rows in the frames of an answer; checks the lengths."""
    assert text.startswith(PREFIX)
    data, found = text.removeprefix(PREFIX), []
    while data:
        digits, _, rest = data.partition("\n")
        units = (int(digits) - 1) * 2
        body = rest.encode("utf-16-le")[:units].decode("utf-16-le")
        found += json.loads(body)
        data = rest[len(body) :]
    return found


def test_the_page_of_somebody_signed_in_holds_a_token(site, box):
    page = site.get(f"{SITE}/app", headers=cookies()).text
    assert f'"SNlM0e":"{token(box)}"' in page


@pytest.mark.parametrize("headers", [{}, {"cookie": "__Secure-1PSID=nobody"}])
def test_the_page_of_a_stranger_holds_none(site, headers):
    page = site.get(f"{SITE}/app", headers=headers).text
    assert "SNlM0e" not in page
    assert "cfb2h" in page


def test_an_expired_session_is_a_strangers(site):
    assert "SNlM0e" not in site.get(f"{SITE}/app", headers=cookies("expired")).text


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("pageblocked", 429), ("pagebroken", 500), ("pagedenied", 403), ("sorry", 302)],
)
def test_the_page_may_fail(site, behaviour, status):
    assert site.get(f"{SITE}/app", headers=cookies(behaviour)).status_code == status


def test_lengths_count_utf16_units_and_both_line_breaks():
    assert frame(["é😀"]) == '9\n["é😀"]\n'
    assert rows(batch([("x", {"é": "😀"})]))[0][2] == '{"é":"😀"}'


def test_a_call_tells_status_and_models(site, box):
    row = rows(call(site, box).text)[0]
    value = json.loads(row[2])
    assert (row[1], value[14]) == ("otAQ7b", 1000)
    assert [model[1] for model in value[15]] == ["Flash", "Pro", "Flash Lite"]


@pytest.mark.parametrize(
    ("behaviour", "code"), [("terms", 1040), ("region", 1060), ("untrusted", 1033)]
)
def test_a_call_tells_trouble(site, box, behaviour, code):
    value = json.loads(rows(call(site, box, behaviour=behaviour).text)[0][2])
    assert value[14] == code


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "nosuch"},
        {"query": {"rpcids": "other"}},
        {"query": {"rt": "x"}},
        {"query": {"_reqid": "x"}},
        {"form": {"at": "wrong"}},
        {"form": {"f.req": "{}"}},
        {"headers": {"origin": "https://evil.example"}},
        {"headers": {"x-same-domain": ""}},
        {"headers": {"content-type": "text/plain"}},
        {"name": "c8o8Fe", "payload": "[]"},
    ],
)
def test_a_call_in_the_wrong_form_is_refused(site, box, changes):
    assert call(site, box, **changes).status_code == 400


def test_a_prompt_is_answered_in_steps(site, box):
    found = rows(generate(site, box, slots("count to 12")).text)
    inner = [json.loads(row[2]) for row in found if row[0] == "wrb.fr"]
    texts = [step[4][0][1][0] for step in inner if step[4]]
    assert inner[0][4] is None
    assert texts[-1] == "1 2 3 4 5 6 7 8 9 10 11 12"
    assert all(texts[-1].startswith(text) for text in texts)
    assert [step[4][0][8] for step in inner if step[4]][-1] == [2]
    assert isinstance(inner[-1][25], str)


@pytest.mark.parametrize(
    "made",
    [
        slots(""),
        slots(at0=["x", 0]),
        slots(at2=["c_unknown", *[""] * 9]),
        slots(at2=[]),
        slots(at7=None),
        slots(at45=5),
        slots(at59="no uuid"),
        slots(at80=3),
        slots(at0=["x", 0, None, [[["/token"], "a.png"]], None, None, 0]),
        slots()[:-1],
    ],
    ids=range(10),
)
def test_a_prompt_in_the_wrong_form_is_refused(site, box, made):
    assert generate(site, box, made).status_code == 400


def test_a_prompt_with_two_ids_is_refused(site, box):
    other = {"x-goog-ext-525005358-jspb": json.dumps([str(uuid.uuid4()), 1])}
    assert generate(site, box, slots(), **other).status_code == 400


def test_an_unknown_model_is_an_error_of_the_site(site, box):
    selector = [1, None, None, None, "0000", None, None, 0, [4], None, None, 1]
    selector += [None, None, 1, 1, str(uuid.uuid4())]
    header = {"x-goog-ext-525001261-jspb": json.dumps(selector)}
    found = rows(generate(site, box, slots(), **header).text)
    assert found[0][5][2][0][1] == [1052]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [("temporary", 1013), ("limit", 1037), ("mixed", 1050), ("blocked", 1060)],
)
def test_a_prompt_may_end_in_an_error_of_the_site(site, box, behaviour, code):
    found = rows(generate(site, box, slots(), behaviour).text)
    assert found[0][5][2][0][1] == [code]


def test_a_rotation_sets_a_new_cookie_and_accepts_the_one_before(site):
    head = {"origin": "https://accounts.google.com"}
    for revision in (1, 1, 2):
        headers = head | cookies("ok", revision)
        assert site.post(ROTATE, content=ROTATION, headers=headers).status_code == 200
    oldest = site.post(ROTATE, content=ROTATION, headers=head | cookies("ok", 1))
    assert oldest.status_code == 401


@pytest.mark.parametrize(
    ("behaviour", "body", "status"),
    [
        ("ok", ROTATION, 200),
        ("ok", "[]", 400),
        ("rotate401", ROTATION, 401),
        ("rotate429", ROTATION, 429),
        ("expired", ROTATION, 401),
    ],
)
def test_a_rotation_may_be_refused(site, behaviour, body, status):
    head = {"origin": "https://accounts.google.com", **cookies(behaviour)}
    assert site.post(ROTATE, content=body, headers=head).status_code == status


def test_a_rotation_may_bring_nothing_new(site):
    head = {"origin": "https://accounts.google.com", **cookies("rotatesame")}
    done = site.post(ROTATE, content=ROTATION, headers=head)
    assert "1PSIDTS" not in done.headers["set-cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        {"push-id": "feeds/sandbox0000001"},
        {"x-tenant-id": "bard-storage"},
        {
            "push-id": "feeds/sandbox0000001",
            "x-tenant-id": "bard-storage",
            "cookie": "a=b",
        },
    ],
)
def test_an_upload_in_the_wrong_form_is_refused(site, headers):
    files = {"file": ("a.png", b"x", "image/png")}
    url = "https://content-push.googleapis.com/upload"
    assert site.post(url, files=files, headers=headers).status_code == 400


def test_pictures_are_only_for_their_own_page_and_the_signed_in(site, box):
    url = "https://lh3.googleusercontent.com/gg-dl/abc=s1024-rj"
    assert site.get(url).status_code == 403
    moved = site.get(url, headers={"referer": f"{SITE}/"})
    assert moved.status_code == 302
    assert site.get(moved.headers["location"]).status_code == 403


def test_hosts_that_are_not_imitated_have_no_pages(site):
    assert site.get("https://mail.google.com/x").status_code == 404


def test_behaviours_are_told_by_the_control_endpoint(site, box):
    wish = {"psid": sandbox_psid(), "behaviour": "limit", "times": 1}
    done = httpx.post(f"{box.proxy_url}/sandbox/accounts", json=wish)
    assert done.json() == {"behaviour": "limit"}
    first, second = (rows(generate(site, box, slots()).text) for _ in range(2))
    assert first[0][5] is not None
    assert json.loads(second[0][2])[1]


@pytest.mark.parametrize(
    "wish",
    [
        [],
        {},
        {"psid": "x", "behaviour": "ok"},
        {"psid": sandbox_psid(), "behaviour": "nosuch"},
        {"psid": sandbox_psid(), "behaviour": "ok", "times": "1"},
    ],
)
def test_a_wish_that_cannot_be_followed_is_refused(box, wish):
    done = httpx.post(f"{box.proxy_url}/sandbox/accounts", json=wish)
    assert done.status_code == 400


def test_the_log_of_requests_holds_no_cookie(site, box):
    site.get(f"{SITE}/app", headers=cookies())
    told = httpx.get(f"{box.proxy_url}/sandbox/requests").text
    assert '"account": "ok-000001"' in told
    assert sandbox_psid() not in told
    assert httpx.get(f"{box.proxy_url}/sandbox/stats").json()["counts"]
    assert httpx.get(f"{box.proxy_url}/sandbox/nosuch").status_code == 404


def test_every_behaviour_has_a_cookie_that_names_it():
    for name in NAMES:
        assert label(sandbox_psid(name, 7)) == f"{name}-000007"
    with pytest.raises(ValueError):
        sandbox_psid("nosuch")
    assert label("a real cookie") == "…"


def test_a_client_that_leaves_stops_the_answer(box):
    box.site.people.reset()

    async def leave():
        context = ssl.create_default_context(cafile=str(box.folder / "sandbox-ca.pem"))
        made = slots("x")
        told = {"x-goog-ext-525005358-jspb": json.dumps([made[59], 1])}
        data = {
            "at": token(box, "stall"),
            "f.req": json.dumps([None, json.dumps(made)]),
        }
        async with httpx.AsyncClient(proxy=box.proxy_url, verify=context) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post(
                    GENERATE,
                    content=urlencode(data),
                    headers={**FORM, **cookies("stall"), **told},
                    timeout=0.5,
                )
        for _ in range(1000):
            if box.site.people.cancelled:
                return
            await asyncio.sleep(0.02)

    asyncio.run(leave())
    assert box.site.people.cancelled == 1
    assert box.site.people.open_streams == 0
