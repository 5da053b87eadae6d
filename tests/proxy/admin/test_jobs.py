"""Jobs in the admin."""

import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django_q.models import OrmQ, Schedule, Task

from gemproxy.lib import clock
from proxy import runner, schedules
from proxy.models import JobRun

pytestmark = pytest.mark.django_db(databases="__all__")
SCHEDULES = "/admin/django_q/schedule/"
FAILURES = "/admin/django_q/failure/"
SUCCESSES = "/admin/django_q/success/"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


def task(name: str, *, success: bool, result: Any = "3 rows", **fields: Any) -> Task:
    ended = clock.now()
    return Task.objects.create(
        id=name.ljust(32, "-"),
        name=name,
        func="math.hypot",
        args=(3, 4),
        started=ended - datetime.timedelta(seconds=2),
        stopped=ended,
        success=success,
        result=result,
        **fields,
    )


def schedule(name: str, **fields: Any) -> Schedule:
    values = {"func": "math.hypot", "schedule_type": Schedule.MINUTES, "minutes": 5}
    later = clock.now() + datetime.timedelta(hours=3)
    return Schedule.objects.create(name=name, next_run=later, **{**values, **fields})


def test_schedules_tell_when_they_ran_and_how_it_ended(admin: Client) -> None:
    good, bad = task("good", success=True), task("bad", success=False)
    schedule("fine", task=good.id)
    schedule("broken", task=bad.id, schedule_type=Schedule.HOURLY)
    schedule("fresh")
    text = admin.get(SCHEDULES).text
    assert f'href="{SUCCESSES}{good.id}/change/"' in text
    assert f'href="{FAILURES}{bad.id}/change/"' in text
    assert "Not run yet" in text
    assert "every 5 min" in text
    assert "hourly" in text
    assert "in 2" in text


def test_a_schedule_is_run_at_once_on_demand(admin: Client) -> None:
    row = schedule("fine")
    selected = {"action": "run_now", "_selected_action": [row.pk]}
    answer = admin.post(SCHEDULES, selected, follow=True)
    assert "1 schedule will run within a minute." in answer.text
    row.refresh_from_db()
    assert row.next_run <= clock.now()


def test_schedules_are_declared_in_code_not_here(admin: Client) -> None:
    row = schedule("fine")
    assert admin.get(f"{SCHEDULES}add/").status_code == 403
    assert (
        admin.post(f"{SCHEDULES}{row.pk}/change/", {"func": "os.x"}).status_code == 403
    )
    assert (
        admin.post(f"{SCHEDULES}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    )
    row.refresh_from_db()
    assert row.func == "math.hypot"


def test_a_failure_shows_what_went_wrong_without_markup(admin: Client) -> None:
    row = task("bad", success=False, result="ValueError: <b>no</b> " + "x" * 300)
    shown = admin.get(FAILURES).text
    assert "ValueError" in shown
    assert "x" * 200 not in shown
    whole = admin.get(f"{FAILURES}{row.id}/change/").text
    assert "x" * 300 in whole
    assert "<b>no" not in whole
    assert "2.0 s" in whole


def test_a_failed_job_is_queued_again(admin: Client, settings: Any) -> None:
    row = task("bad", success=False)
    selected = {"action": "retry", "_selected_action": [row.id]}
    answer = admin.post(FAILURES, selected, follow=True)
    assert "Queued 1 job again." in answer.text
    assert not Task.objects.filter(id=row.id).exists()
    if settings.REDIS_URL:
        return
    queued = OrmQ.objects.get().task
    assert (queued["func"], tuple(queued["args"])) == ("math.hypot", (3, 4))


def test_looking_is_not_retrying(client: Client, bob: Any) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename="view_failure"))
    client.force_login(bob)
    row = task("bad", success=False)
    client.post(FAILURES, {"action": "retry", "_selected_action": [row.id]})
    assert Task.objects.filter(id=row.id).exists()
    assert not OrmQ.objects.exists()


def test_results_are_not_edited(admin: Client) -> None:
    row = task("good", success=True)
    page = f"{SUCCESSES}{row.id}/change/"
    assert admin.get(page).status_code == 200
    assert admin.post(page, {"name": "x"}).status_code == 403


@pytest.mark.parametrize("page", [SCHEDULES, SUCCESSES, FAILURES])
def test_lists_have_no_query_for_each_row(
    admin: Client, page: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(25):
        done = task(f"t{number}", success=page != FAILURES)
        schedule(f"s{number}", task=done.id)
    with django_assert_max_num_queries(6, connection=_jobs()):
        admin.get(page)


def _jobs() -> Any:
    from django.db import connections, router

    return connections[router.db_for_read(Task) or "default"]


def declared(name: str, **fields: Any) -> schedules.Job:
    """Sync the schedules and write down how a declared job ran last."""
    schedules.sync()
    job = schedules.named(name)
    assert job is not None
    if fields:
        JobRun.objects.create(job=name, **fields)
    return job


def row_of(text: str, title: str) -> str:
    """Return the table row of a schedule as the page has it."""
    _, _, rest = text.partition(f">{title}<")
    return rest.partition("</tr>")[0]


def test_a_declared_job_tells_what_it_did_how_long_and_when(admin: Client) -> None:
    now = clock.now()
    job = declared(
        "clean up",
        state="done",
        started_at=now - datetime.timedelta(minutes=9, seconds=2),
        ended_at=now - datetime.timedelta(minutes=9),
        result="deleted 3 incidents",
    )
    row = row_of(admin.get(SCHEDULES).text, job.title)
    assert "Deletes old incidents" in row
    assert "Done" in row
    assert "deleted 3 incidents" in row
    assert "9\xa0minutes ago" in row
    assert "2.0 s" in row
    assert "daily at 03:00 UTC" in row
    assert f"{job.when.first(now):%Y-%m-%d %H:%M}" in row


def test_a_declared_job_that_failed_says_why_in_plain_words(admin: Client) -> None:
    now = clock.now()
    job = declared(
        "rotate cookies",
        state="failed",
        started_at=now,
        ended_at=now,
        result="ValueError: <b>no</b> luck",
    )
    row = row_of(admin.get(SCHEDULES).text, job.title)
    assert "Failed" in row
    assert "ValueError: &lt;b&gt;no&lt;/b&gt; luck" in row


def test_a_job_that_runs_now_says_since_when(admin: Client) -> None:
    started = clock.now() - datetime.timedelta(minutes=2)
    job = declared("rotate cookies", state="running", started_at=started)
    row = row_of(admin.get(SCHEDULES).text, job.title)
    assert "Running" in row
    assert "2\xa0minutes ago" in row


def test_a_switched_off_job_names_its_setting(admin: Client, settings: Any) -> None:
    settings.KEEP_ALIVE_INTERVAL, settings.PUBLIC_URL = 10, ""
    job = declared("keep awake")
    row = row_of(admin.get(SCHEDULES).text, job.title)
    assert "Off" in row
    assert "PUBLIC_URL: not set" in row
    selected = {
        "action": "run_now",
        "_selected_action": [Schedule.objects.get(name=job.title).pk],
    }
    answer = admin.post(SCHEDULES, selected, follow=True)
    assert "is switched off (PUBLIC_URL: not set)" in answer.text
    assert "will run" not in answer.text


def test_run_now_queues_a_declared_job_and_leaves_its_next_time(
    admin: Client, settings: Any
) -> None:
    job = declared("clean up")
    row = Schedule.objects.get(name=job.title)
    selected = {"action": "run_now", "_selected_action": [row.pk]}
    answer = admin.post(SCHEDULES, selected, follow=True)
    assert "1 schedule will run within a minute." in answer.text
    before = row.next_run
    row.refresh_from_db()
    assert row.next_run == before
    if settings.REDIS_URL:
        return
    queued = OrmQ.objects.get().task
    assert (queued["func"], queued["args"]) == (schedules.RUNNER, ("clean up",))
    assert queued["group"] == job.title
    assert runner.run_job(*queued["args"], **queued["kwargs"]).startswith("deleted")


def test_a_schedule_has_a_page_of_its_own(admin: Client) -> None:
    now = clock.now()
    job = declared(
        "clean up", state="done", started_at=now, ended_at=now, result="deleted 3"
    )
    row = Schedule.objects.get(name=job.title)
    page = admin.get(f"{SCHEDULES}{row.pk}/change/").text
    assert "deleted 3" in page
    assert "daily at 03:00 UTC" in page
