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

from accounts.admin.displays import NOTHING, ago, badge, milliseconds
from gemproxy.adminkit import ModelAdmin
from gemproxy.lib import clock

LONGEST_RESULT = 120

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
    """Schedules are declared in code; here they are seen and run at once."""

    list_display = ("name", "result", "last_run", "runs", "next_time", "func")
    search_fields = ("name", "func")
    ordering = ("name",)
    actions = ("run_now",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        task = Task.objects.filter(id=OuterRef("task"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                task_pk=Subquery(task.values("id")),
                task_success=Subquery(task.values("success")),
                task_stopped=Subquery(task.values("stopped")),
            )
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_q.change_schedule")

    @admin.action(description="Run now", permissions=["run"])
    def run_now(self, request: HttpRequest, queryset: QuerySet) -> None:
        keys = list(queryset.values_list("pk", flat=True))
        due = Schedule.objects.filter(pk__in=keys).exclude(repeats=0)
        count = due.update(next_run=clock.now())
        messages.success(
            request,
            f"{count} schedule{'' if count == 1 else 's'} will run within a minute.",
        )

    @admin.display(description="Last result", ordering="task_success")
    def result(self, schedule: Schedule) -> SafeString:
        if schedule.task_pk is None:
            return badge("Not run yet", "quiet")
        kind = "success" if schedule.task_success else "failure"
        url = reverse(f"admin:django_q_{kind}_change", args=[schedule.task_pk])
        word, tone = ("Done", "good") if schedule.task_success else ("Failed", "bad")
        return format_html('<a href="{}">{}</a>', url, badge(word, tone))

    @admin.display(description="Last run", ordering="task_stopped")
    def last_run(self, schedule: Schedule) -> str | SafeString:
        return ago(schedule.task_stopped)

    @admin.display(description="Runs")
    def runs(self, schedule: Schedule) -> str:
        if schedule.schedule_type == Schedule.MINUTES:
            return f"every {schedule.minutes} min"
        if schedule.schedule_type == Schedule.CRON:
            return schedule.cron or NOTHING
        return schedule.get_schedule_type_display().lower()

    @admin.display(description="Next run", ordering="next_run")
    def next_time(self, schedule: Schedule) -> str | SafeString:
        return ago(schedule.next_run) if schedule.repeats else badge("Off", "quiet")


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
        text = " ".join(str(task.result or "").split())
        return text if len(text) <= LONGEST_RESULT else f"{text[:LONGEST_RESULT]}…"

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


def _queue_again(task: Task) -> None:
    options = {"hook": task.hook, "group": task.group, "cluster": task.cluster}
    async_task(task.func, *(task.args or ()), **options, **(task.kwargs or {}))
