"""Jobs in the admin: schedules, results and what waits. django-q2's own admin pages
are unstyled under the theme, so these take their place."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_q.models import Failure, OrmQ, Schedule, Success, Task
from django_q.tasks import async_task

from accounts.admin.displays import NOTHING, ago, badge, milliseconds, two_lines
from gemproxy.adminkit import ChangeList, ModelAdmin
from gemproxy.lib import clock
from proxy import schedules
from proxy.models import JobRun

LONGEST_RESULT = 120
TONES: dict[str, str] = {
    JobRun.State.DONE: "good",
    JobRun.State.FAILED: "bad",
    JobRun.State.RUNNING: "info",
}

for _model in (Failure, OrmQ, Schedule, Success):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only the job runner writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """Schedules are declared in code; here they are seen and run at once.

    How a declared job ran stands in its own row, since django-q2 keeps results of
    frequent jobs for some hours only; of others the latest result is shown.
    """

    list_display = ("job", "result", "told", "last_run", "took", "runs", "next_time")
    search_fields = ("name", "func")
    ordering = ("name",)
    actions = ("run_now",)
    fields = ("job", "result", "told", "last_run", "took", "runs", "next_time", "func")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        task = Task.objects.filter(id=OuterRef("task"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                task_pk=Subquery(task.values("id")),
                task_success=Subquery(task.values("success")),
                task_started=Subquery(task.values("started")),
                task_stopped=Subquery(task.values("stopped")),
            )
        )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist = super().get_changelist_instance(request)
        # The queue may be in a database of its own, so no join can bring them.
        runs = {run.job: run for run in JobRun.objects.all()}
        for schedule in changelist.result_list:
            job = schedules.titled(schedule.name)
            schedule.last = runs.get(job.name) if job else None
        return changelist

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Schedule | None:
        schedule = super().get_object(request, object_id, from_field)
        job = schedules.titled(schedule.name) if schedule else None
        if job is not None:
            schedule.last = JobRun.objects.filter(job=job.name).first()
        return schedule

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_q.change_schedule")

    @admin.action(description="Run now", permissions=["run"])
    def run_now(self, request: HttpRequest, queryset: QuerySet) -> None:
        count = 0
        for schedule in queryset:
            job = schedules.titled(schedule.name)
            off = job.off() if job else ""
            if off:
                messages.warning(request, f"{schedule.name} is switched off ({off}).")
            else:
                count += _run_soon(schedule, job)
        if count:
            many = "" if count == 1 else "s"
            text = f"{count} schedule{many} will run within a minute."
            messages.success(request, text)

    @admin.display(description="Job", ordering="name")
    def job(self, schedule: Schedule) -> SafeString:
        job = schedules.titled(schedule.name)
        return two_lines(schedule.name or schedule.func, job.description if job else "")

    @admin.display(description="Last result", ordering="task_success")
    def result(self, schedule: Schedule) -> SafeString:
        shown = _state(schedule)
        if schedule.task_pk is None:
            return shown
        kind = "success" if schedule.task_success else "failure"
        url = reverse(f"admin:django_q_{kind}_change", args=[schedule.task_pk])
        return format_html('<a href="{}">{}</a>', url, shown)

    @admin.display(description="What it said")
    def told(self, schedule: Schedule) -> str:
        last = _last(schedule)
        return _one_line(last.result) if last and last.result else NOTHING

    @admin.display(description="Last run", ordering="task_stopped")
    def last_run(self, schedule: Schedule) -> str | SafeString:
        last = _last(schedule)
        return ago(
            (last.ended_at or last.started_at) if last else schedule.task_stopped
        )

    @admin.display(description="Took")
    def took(self, schedule: Schedule) -> str:
        last = _last(schedule)
        began, ended = (
            (last.started_at, last.ended_at)
            if last
            else (schedule.task_started, schedule.task_stopped)
        )
        if began is None or ended is None:
            return NOTHING
        return milliseconds((ended - began).total_seconds() * 1000)

    @admin.display(description="Runs")
    def runs(self, schedule: Schedule) -> str:
        job = schedules.titled(schedule.name)
        if job is not None:
            return job.when.words()
        if schedule.schedule_type == Schedule.MINUTES:
            return f"every {schedule.minutes} min"
        if schedule.schedule_type == Schedule.CRON:
            return schedule.cron or NOTHING
        return schedule.get_schedule_type_display().lower()

    @admin.display(description="Next run", ordering="next_run")
    def next_time(self, schedule: Schedule) -> str | SafeString:
        job = schedules.titled(schedule.name)
        off = job.off() if job else ""
        if off or not schedule.repeats:
            return two_lines(badge("Off", "quiet"), off)
        return ago(schedule.next_run)


def _last(schedule: Schedule) -> JobRun | None:
    """Return how a declared job ran last, None for one that never ran or is another's."""
    last: JobRun | None = getattr(schedule, "last", None)
    return last if last is not None and last.started_at is not None else None


def _state(schedule: Schedule) -> SafeString:
    last = _last(schedule)
    if last is not None:
        return badge(last.get_state_display(), TONES.get(last.state, "quiet"))
    if schedule.task_pk is None:
        return badge("Not run yet", "quiet")
    word, tone = ("Done", "good") if schedule.task_success else ("Failed", "bad")
    return badge(word, tone)


def _run_soon(schedule: Schedule, job: schedules.Job | None) -> int:
    """Have a schedule run at once; return whether that can be."""
    if job is None:
        due = Schedule.objects.filter(pk=schedule.pk).exclude(repeats=0)
        return due.update(next_run=clock.now())
    # Not by its next time: a job by the clock would keep the new one.
    slot = {schedules.SLOT: clock.now().isoformat()}
    async_task(schedules.RUNNER, job.name, group=job.title, **slot)
    return 1


class TaskAdmin(ReadOnlyAdmin):
    list_display = ("name", "func", "group", "ended", "took", "shown_result")
    list_filter = ("group",)
    search_fields = ("name", "func", "group")
    show_full_result_count = False
    fields = ("name", "func", "group", "started", "stopped", "took", "whole_result")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # Arguments are pickles; a list of many rows should not open them.
        return super().get_queryset(request).defer("args", "kwargs")

    @admin.display(description="Ended", ordering="stopped")
    def ended(self, task: Task) -> str | SafeString:
        return ago(task.stopped)

    @admin.display(description="Took", ordering=F("stopped") - F("started"))
    def took(self, task: Task) -> str:
        return milliseconds(task.time_taken() * 1000)

    @admin.display(description="Result")
    def shown_result(self, task: Task) -> str:
        return _one_line(str(task.result or ""))

    @admin.display(description="Result")
    def whole_result(self, task: Task) -> SafeString:
        return format_html('<pre class="gp-json">{}</pre>', task.result or NOTHING)


@admin.register(Success)
class SuccessAdmin(TaskAdmin):
    pass


@admin.register(Failure)
class FailureAdmin(TaskAdmin):
    actions = ("retry",)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_q.change_failure")

    @admin.action(description="Retry", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Queue the same work again and drop the failure."""
        count = 0
        for task in queryset:
            _queue_again(task)
            task.delete()
            count += 1
        messages.success(
            request, f"Queued {count} job{'' if count == 1 else 's'} again."
        )


@admin.register(OrmQ)
class QueueAdmin(ReadOnlyAdmin):
    """What waits for a worker, where the database is the queue."""

    list_display = ("id", "name", "func", "group", "claimed")
    fields = ("key", "lock", "name", "func", "group", "task_id")
    ordering = ("id",)
    search_fields = ()

    @admin.display(description="Held until", ordering="lock")
    def claimed(self, job: OrmQ) -> str | SafeString:
        return ago(job.lock)


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_RESULT else f"{text[:LONGEST_RESULT]}…"


def _queue_again(task: Task) -> None:
    options = {"hook": task.hook, "group": task.group, "cluster": task.cluster}
    async_task(task.func, *(task.args or ()), **options, **(task.kwargs or {}))
