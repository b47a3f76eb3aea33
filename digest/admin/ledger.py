"""The sender's desk: runs with a hand on them, letters with what became of each, alarms."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from digest import alarms
from digest.deliveries import export, report, runs
from digest.models import Act, Alarm, Delivery, DeliveryEvent, Run
from digest.prose import count
from digest.staff import acts
from subscriptions import clock
from subscriptions.desk import ReadOnly


@admin.register(Run)
class RunAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["edition", "state", "letters", "reason", "changed_by", "changed_at"]
    list_filter = ["state"]
    list_select_related = ["edition"]
    ordering = ["-edition__date"]
    fields = ["edition", "state", "reason", "changed_by", "changed_at", "progress"]
    readonly_fields = ["progress"]
    actions = ["pause", "resume", "cancel", "retry", "arrived", "lost", "resend_uncertain"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("digest.view_run")

    def has_touch_permission(self, request: HttpRequest) -> bool:
        """Actions alone change these rows: no form does."""
        return request.user.has_perm("digest.change_run")

    def get_urls(self) -> list[URLPattern]:
        export_url = path("<int:run>/export/", self.admin_site.admin_view(self.export), name="digest_run_export")
        return [export_url, *super().get_urls()]

    def export(self, request: HttpRequest, run: int) -> StreamingHttpResponse:
        """A line for each letter, as CSV; for those who may look at letters."""
        if not request.user.has_perms(["digest.view_run", "digest.view_delivery"]):
            raise PermissionDenied
        found = get_object_or_404(Run.objects.select_related("edition"), pk=run)
        acts.record(request, Act.Action.DID, found, detail="export", now=clock.now())
        return StreamingHttpResponse(
            export.lines(found),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="letters-{found.edition}.csv"'},
        )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(candidates=Sum("batches__size"))

    @admin.display(ordering="candidates")
    def letters(self, run: Any) -> SafeString:
        url = reverse("admin:digest_delivery_changelist") + "?" + urlencode({"edition__id__exact": run.edition_id})
        return format_html('<a href="{}">{}</a>', url, run.candidates or 0)

    @admin.display(description="progress")
    def progress(self, run: Run) -> SafeString:
        stands = runs.progress(run, now=clock.now())
        letters = reverse("admin:digest_delivery_changelist") + f"?edition__id__exact={run.edition_id}"
        counts = [(status.label, stands.counts.get(status, 0), f"{letters}&status__exact={status.value}")
                  for status in Delivery.Status]  # fmt: skip
        context = {"progress": stands, "counts": counts, "run": run, "labels": dict(Delivery.Status.choices)}
        return render_to_string("admin/digest/run/progress.html", context)

    def _each(self, request: HttpRequest, queryset: QuerySet[Run], act: Callable[..., Any], done: str) -> None:
        for run in queryset.select_related("edition").order_by("edition__date"):
            try:
                result = act(run, by=str(request.user), now=clock.now())
            except runs.NotPossible as error:
                self.message_user(request, str(error), messages.ERROR)
                continue
            number = f"{count(result, 'letter')} " if isinstance(result, int) else ""
            self.message_user(request, f"{str(run).capitalize()}: {number}{done}.")

    @admin.action(description="Pause: let nothing more leave", permissions=["touch"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, runs.pause, "paused, within a second")

    @admin.action(description="Resume", permissions=["touch"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, runs.resume, "going")

    @admin.action(description="Cancel: give up the letters that still wait", permissions=["touch"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, runs.cancel, "cancelled")

    @admin.action(description="Try failed and deferred letters again, now", permissions=["touch"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, runs.retry, "will be tried again")

    @admin.action(description="Uncertain letters: they arrived", permissions=["touch"])
    def arrived(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        def act(run: Run, **more: Any) -> int:
            return runs.settle_uncertain(run, arrived=True, **more)

        self._each(request, queryset, act, "settled as sent")

    @admin.action(description="Uncertain letters: they did not arrive", permissions=["touch"])
    def lost(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        def act(run: Run, **more: Any) -> int:
            return runs.settle_uncertain(run, arrived=False, **more)

        self._each(request, queryset, act, "settled as failed")

    @admin.action(description="Uncertain letters: send again, some a second time", permissions=["touch"])
    def resend_uncertain(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, runs.resend_uncertain, "will be sent again")


class EventInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = DeliveryEvent
    fields = ["at", "kind", "service", "verdict", "detail"]
    ordering = ["-at", "-pk"]
    extra = 0


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["email", "day", "edition", "status", "papers_count", "attempts", "reason", "settled_at"]
    list_filter = ["status", "day", ("edition", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["edition"]
    search_fields = ["email"]
    ordering = ["-pk"]
    inlines = [EventInline]
    show_full_result_count = False


@admin.register(Alarm)
class AlarmAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "text", "raised_at", "last_at", "cleared_at", "cleared_by"]
    list_filter = [("cleared_at", admin.EmptyFieldListFilter)]
    ordering = ["-pk"]
    actions = ["clear", "believe", "ignore"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("digest.view_alarm")

    def has_touch_permission(self, request: HttpRequest) -> bool:
        """Actions alone change these rows: no form does."""
        return request.user.has_perm("digest.change_alarm")

    @admin.action(description="It is over", permissions=["touch"])
    def clear(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        for name in queryset.values_list("name", flat=True):
            alarms.clear_alarm(name, by=str(request.user))

    @admin.action(description="Flood of bounces: act on the reports held back", permissions=["touch"])
    def believe(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        number = report.release_quarantine(accept=True)
        self.message_user(request, f"{count(number, 'report')} will be acted on.")

    @admin.action(description="Flood of bounces: leave the reports held back", permissions=["touch"])
    def ignore(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        number = report.release_quarantine(accept=False)
        self.message_user(request, f"{count(number, 'report')} left.")
