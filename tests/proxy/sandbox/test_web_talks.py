"""Conversations that the imitated site keeps, and what its answers hold beside text."""

import json
import uuid

import httpx
import pytest

from tests.proxy.sandbox.test_web import box, call, generate, rows, site, slots

__all__ = ["box", "site"]


def last(answer):
    """The last step of an answer: its head, to go on with, and its text."""
    inner = json.loads([row for row in rows(answer.text) if row[0] == "wrb.fr"][-1][2])
    candidate = inner[4][0]
    head = [*inner[1], candidate[0], *[None] * 6, inner[25]]
    return head, candidate[1][0]


def listed(site, box):
    return [row[0] for row in json.loads(rows(call(site, box, "MaZiqc").text)[0][2])[2]]


def test_a_kept_conversation_goes_on(site, box):
    head, _ = last(generate(site, box, slots("My name is Ada.")))
    assert listed(site, box) == [head[0]]
    later, text = last(generate(site, box, slots("What is my name?", at2=head)))
    assert text == "Your name is Ada."
    assert (later[0], later[1] != head[1]) == (head[0], True)
    assert listed(site, box) == [head[0]]
    stats = httpx.get(f"{box.proxy_url}/sandbox/stats").json()
    assert stats["talks"] == {"ok-000001": 1}


def test_a_conversation_remembers_the_roles_of_a_long_prompt(site, box):
    tagged = "<|im_start|>system\nAlways end with over.<|im_end|>\n"
    tagged += "<|im_start|>user\nMy name is Ada.<|im_end|>"
    head, _ = last(generate(site, box, slots(tagged)))
    _, text = last(generate(site, box, slots("What is my name?", at2=head)))
    assert text == "Your name is Ada. over"


def test_a_temporary_conversation_is_kept_nowhere(site, box):
    head, _ = last(generate(site, box, slots("Hello", at45=1)))
    assert listed(site, box) == []
    assert generate(site, box, slots("And?", at2=head)).status_code == 400


def test_a_deleted_conversation_is_unknown(site, box):
    head, _ = last(generate(site, box, slots("Hello")))
    for _ in range(2):
        done = call(site, box, "GzXR5e", json.dumps([head[0]]))
        assert done.status_code == 200
    assert listed(site, box) == []
    assert generate(site, box, slots("And?", at2=head)).status_code == 400


@pytest.mark.parametrize("payload", ["[]", "5", "[5]", '["x"]', "x"])
def test_a_deletion_in_the_wrong_form_is_refused(site, box, payload):
    assert call(site, box, "GzXR5e", payload).status_code == 400


def test_a_conversation_of_somebody_else_is_unknown(site, box):
    head, _ = last(generate(site, box, slots("Hello"), "nofull"))
    assert generate(site, box, slots("And?", at2=head)).status_code == 400


@pytest.mark.parametrize("place", [0, 1, 2, 9])
def test_a_conversation_goes_on_only_from_its_last_turn(site, box, place):
    head, _ = last(generate(site, box, slots("Hello")))
    wrong = [*head[:place], f"{head[place]}x", *head[place + 1 :]]
    assert generate(site, box, slots("And?", at2=wrong)).status_code == 400
    generate(site, box, slots("And?", at2=head))
    assert generate(site, box, slots("Again?", at2=head)).status_code == 400


@pytest.mark.parametrize(
    "talk", [["", "r_1", "", *[None] * 6, ""], ["", "", "", *[""] * 7], [None] * 10]
)
def test_a_head_that_no_page_sends_is_refused(site, box, talk):
    assert generate(site, box, slots("Hello", at2=talk)).status_code == 400


def test_a_kept_conversation_takes_no_temporary_turn(site, box):
    head, _ = last(generate(site, box, slots("Hello")))
    assert generate(site, box, slots("And?", at2=head, at45=1)).status_code == 400


def test_a_conversation_with_another_model_is_an_error_of_the_site(site, box):
    head, _ = last(generate(site, box, slots("Hello")))
    selector = [1, None, None, None, "9d8ca3786ebdfbea", None, None, 0, [4], None, None]
    selector += [1, None, None, 3, 1, str(uuid.uuid4())]
    header = {"x-goog-ext-525001261-jspb": json.dumps(selector)}
    made = slots("And?", at2=head, at79=3)
    found = rows(generate(site, box, made, **header).text)
    assert found[0][5][2][0][1] == [1050]


def test_an_answer_names_its_model(site, box):
    inner = [
        json.loads(row[2])
        for row in rows(generate(site, box, slots("Hello")).text)
        if row[0] == "wrb.fr"
    ]
    assert {step[4][0][42] for step in inner if step[4]} == {"3 Flash"}


def test_pictures_are_found_on_the_web(site, box):
    found = rows(generate(site, box, slots("Find pictures of cats")).text)
    inner = json.loads([row for row in found if row[0] == "wrb.fr"][-1][2])
    first = inner[4][0][12][1][0]
    assert first[0][0][0].endswith("one.jpg")
