"""Readers in Django admin: found by address, with their topics, consent and letters."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from subscriptions import account, clock, consent, table
from subscriptions.desk import ReadOnly
from subscriptions.models import Consent, Notice, Subscriber, Subscription
from subscriptions.throttle import mailbox_of


class SubscriptionInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Subscription
    fields = ["position", "label", "query", "max_papers", "is_muted"]
    ordering = ["position", "pk"]
    extra = 0


class ConsentInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Consent
    fields = ["at", "event", "detail", "topics", "cadence", "why", "comment", "ip", "form_url", "text_version"]
    ordering = ["-pk"]
    extra = 0


class NoticeInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Notice
    fields = ["created_at", "kind", "status", "attempts", "reason", "sent_at"]
    ordering = ["-pk"]
    extra = 0


@admin.register(Subscriber)
class SubscriberAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["email", "status", "cadence", "send_hour", "time_zone", "topics", "confirmed_at"]
    list_filter = ["status", "cadence", "wants_trending", "format"]
    search_fields = ["email", "mailbox"]
    ordering = ["-pk"]
    readonly_fields = ["mailbox", "status", "status_reason", "status_changed_at", "created_at", "confirmed_at"]
    inlines = [SubscriptionInline, ConsentInline, NoticeInline]
    actions = ["unsubscribe", "suppress", "send_link", "export"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(topic_count=Count("subscriptions"))

    @admin.display(ordering="topic_count")
    def topics(self, subscriber: Any) -> int:
        return int(subscriber.topic_count)

    def save_model(self, request: HttpRequest, obj: Subscriber, form: Any, change: bool) -> None:
        now = clock.now()
        obj.mailbox = mailbox_of(obj.email)
        if not change:
            obj.created_at = obj.status_changed_at = now
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for row in formset.save(commit=False):
            if row.pk is None:
                row.created_at = clock.now()
            row.save()
        for row in formset.deleted_objects:
            row.delete()

    def has_consent_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("subscriptions.add_consent")

    def has_suppression_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("subscriptions.add_suppression")

    def has_notice_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("subscriptions.add_notice")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(["subscriptions.view_subscriber", "subscriptions.view_consent"])

    @admin.action(description="Unsubscribe", permissions=["consent"])
    def unsubscribe(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> None:
        for key in queryset.values_list("pk", flat=True):
            visit = consent.Visit(form_url=request.path)
            consent.unsubscribe(key, now=clock.now(), visit=visit, detail=f"by {request.user}")

    @admin.action(description="Suppress: never mail again", permissions=["suppression"])
    def suppress(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> None:
        for key in queryset.values_list("pk", flat=True):
            consent.suppress(key, f"by {request.user}", now=clock.now())

    @admin.action(description="Send a link to their settings", permissions=["notice"])
    def send_link(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> None:
        for subscriber in queryset.order_by("pk"):
            sent = consent.request_link(subscriber, now=clock.now())
            words = "a link leaves within a minute" if sent else "no link: asked too often, or not subscribed"
            self.message_user(request, f"{subscriber}: {words}.", messages.INFO if sent else messages.WARNING)

    @admin.action(description="Export one subscriber as JSON", permissions=["export"])
    def export(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> HttpResponse | None:
        subscriber = queryset.order_by("pk").first()
        if subscriber is None or queryset.count() != 1:
            self.message_user(request, "Choose one subscriber to export.", messages.WARNING)
            return None
        answer = JsonResponse(account.export(subscriber))
        answer["Content-Disposition"] = 'attachment; filename="subscriber.json"'
        return answer


@admin.register(Subscription)
class SubscriptionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["label", "query", "subscriber", "is_muted"]
    list_filter = ["is_muted"]
    list_select_related = ["subscriber"]
    search_fields = ["label", "query", "subscriber__email"]
    autocomplete_fields = ["subscriber"]
    readonly_fields = ["created_at"]
    ordering = ["-pk"]

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        if not change:
            obj.created_at = clock.now()
        super().save_model(request, obj, form, change)


@admin.register(Consent)
class ConsentAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["at", "subscriber", "event", "detail", "why", "ip"]
    list_filter = ["event", "why"]
    list_select_related = ["subscriber"]
    search_fields = ["subscriber__email"]
    ordering = ["-pk"]
    actions = ["export"]

    @admin.action(description="Export as CSV", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[Consent]) -> StreamingHttpResponse:
        response = StreamingHttpResponse(table.lines(queryset), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="consent.csv"'
        return response


@admin.register(Notice)
class NoticeAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["created_at", "subscriber", "kind", "status", "attempts", "reason"]
    list_filter = ["status", "kind"]
    list_select_related = ["subscriber"]
    search_fields = ["subscriber__email"]
    ordering = ["-pk"]
    actions = ["drop"]

    def has_drop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("subscriptions.add_notice")

    @admin.action(description="Drop: do not send", permissions=["drop"])
    def drop(self, request: HttpRequest, queryset: QuerySet[Notice]) -> None:
        waiting = queryset.filter(status=Notice.Status.QUEUED)
        waiting.update(status=Notice.Status.FAILED, reason=f"dropped by {request.user}"[:300])
