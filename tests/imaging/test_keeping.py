"""Plans say how long and how many pictures are kept; the clean-up does it."""

import datetime
from typing import Any

import pytest

from accounts.admin.plans import PlanForm
from accounts.models import Plan, Token
from gemproxy.lib import clock
from imaging import jobs
from imaging.models import Image
from tests.imaging.pictures import saved

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_other_bounds(settings: Any) -> None:
    settings.IMAGE_RETENTION_DAYS = 0
    settings.IMAGE_MAX_PER_CALLER = 0
    Plan.objects.update(image_days=None, images_kept=None)


def plan(name: str, **fields: Any) -> Plan:
    return Plan.objects.create(name=name, **fields)


def joined(person: Any, plan: Plan | None) -> Any:
    person.plan = plan
    person.save()
    return person


def made(prompt: str, days: float, person: Any = None, token: Any = None) -> None:
    image = saved(
        prompt=prompt,
        user_id=person.pk if person else None,
        token_id=token.pk if token else None,
    )
    then = clock.now() - datetime.timedelta(days=days)
    Image.objects.filter(pk=image.pk).update(created_at=then)


def left() -> set[str]:
    return set(Image.objects.values_list("prompt", flat=True))


def test_without_limits_in_plans_nothing_goes(alice: Any) -> None:
    joined(alice, plan("free"))
    made("old", 900, alice)
    assert jobs.clean_images() == "nothing to clean"
    assert left() == {"old"}


def test_pictures_go_after_the_days_of_their_persons_plan(alice: Any, bob: Any) -> None:
    joined(alice, plan("short", image_days=3))
    joined(bob, plan("long", image_days=30))
    for days in (2.9, 3.1, 30.1):
        made(f"alice {days}", days, alice)
        made(f"bob {days}", days, bob)
    made("of nobody", 900)
    told = jobs.clean_images()
    assert left() == {"alice 2.9", "bob 2.9", "bob 3.1", "of nobody"}
    assert "3 over their plan's days" in told


def test_a_plan_of_zero_days_keeps_nothing(alice: Any) -> None:
    joined(alice, plan("none", image_days=0))
    made("new", 0.001, alice)
    jobs.clean_images()
    assert left() == set()


def test_the_plan_of_a_token_counts_more_than_its_persons(alice: Any) -> None:
    joined(alice, plan("short", image_days=3))
    long = plan("long", image_days=30)
    kind = Token.issue(user=alice, name="kind")[0]
    strict = Token.issue(user=alice, name="strict")[0]
    Token.objects.filter(pk=kind.pk).update(plan=long)
    made("kind", 10, alice, kind)
    made("kind but too old", 31, alice, kind)
    made("strict", 10, alice, strict)
    made("without a token", 10, alice)
    jobs.clean_images()
    assert left() == {"kind"}


def test_the_default_plan_is_for_those_without_one(alice: Any, bob: Any) -> None:
    plan("usual", is_default=True, image_days=3, images_kept=1)
    joined(alice, None)
    joined(bob, plan("free"))
    for person in (alice, bob):
        made(f"{person.username} old", 4, person)
        made(f"{person.username} young", 2, person)
        made(f"{person.username} newest", 1, person)
    jobs.clean_images()
    assert left() == {"alice newest", "bob old", "bob young", "bob newest"}


def test_each_person_keeps_the_newest_over_all_tokens(alice: Any, bob: Any) -> None:
    small = plan("small", images_kept=2)
    joined(alice, small)
    joined(bob, small)
    tokens = [Token.issue(user=alice, name=name)[0] for name in "ab"]
    for days in (4, 3, 2, 1):
        made(f"alice {days}", days, alice, tokens[days % 2])
    made("bob 9", 9, bob)
    told = jobs.clean_images()
    assert left() == {"alice 1", "alice 2", "bob 9"}
    assert "2 over their plan's number" in told


def test_a_plan_cannot_keep_longer_than_the_gateway(alice: Any, settings: Any) -> None:
    settings.IMAGE_RETENTION_DAYS = 7
    joined(alice, plan("long", image_days=30))
    made("old", 8, alice)
    jobs.clean_images()
    assert left() == set()


def test_the_admin_form_takes_both_limits(db: None) -> None:
    data = {"name": "small", "image_days": "3", "images_kept": "50", "models": ""}
    form = PlanForm(data)
    assert form.is_valid(), form.errors
    stored = form.save()
    assert (stored.image_days, stored.images_kept) == (3, 50)
    assert "images_kept" in PlanForm({**data, "images_kept": "-1"}).errors
