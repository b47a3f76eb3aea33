"""The editor's desk: sources, papers, editions and their placements."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db import models
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from digest import analysis, editions, prose, stamps, tasks
from digest.models import (
    Edition,
    Fetch,
    Listing,
    Observation,
    Paper,
    Placement,
    Source,
)
from subscriptions import clock
from subscriptions.desk import ReadOnly

admin.site.site_header = "Paperboy"
admin.site.site_title = "Paperboy"
admin.site.index_title = "The desk"


#: An address typed without a scheme is meant with https.
URLS: Any = {models.URLField: {"assume_scheme": "https"}}


class FetchInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Fetch
    fields = ["at", "day", "outcome", "entries", "new_papers", "new_listings", "skipped", "size", "message"]
    ordering = ["-pk"]
    extra = 0
    verbose_name_plural = "last fetches"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Fetch]:
        newest = super().get_queryset(request).order_by("-pk").values_list("pk", flat=True)[:200]
        return super().get_queryset(request).filter(pk__in=list(newest))


class OnPages(admin.ModelAdmin):  # type: ignore[type-arg]
    """What stands on pages: whoever keeps them hears of a change."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        stamps.bump("papers")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset)
        stamps.bump("papers")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        stamps.bump("papers")


@admin.register(Source)
class SourceAdmin(OnPages):
    list_display = [
        "label",
        "name",
        "kind",
        "is_enabled",
        "state",
        "last_success_at",
        "last_day",
        "papers_count",
        "last_error",
    ]
    list_filter = ["kind", "is_enabled", "state"]
    search_fields = ["name", "label", "url"]
    ordering = ["kind", "name"]
    readonly_fields = [
        "state", "last_success_at", "last_day", "last_error", "last_error_at", "failures", "not_before_at",
        "papers_count", "listings_count", "validators",
    ]  # fmt: skip
    inlines = [FetchInline]
    formfield_overrides = URLS
    actions = ["fetch_now"]

    def has_fetch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("digest.add_fetch")

    @admin.action(description="Fetch now", permissions=["fetch"])
    def fetch_now(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        for source in queryset:
            tasks.fetch.delay(source=source.pk)
        self.message_user(request, "A worker reads them now; the last fetches of each source say what came.")


class ListingInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Listing
    fields = ["day", "source", "announce", "first_seen_at"]
    ordering = ["-day", "pk"]
    extra = 0


class ObservationInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Observation
    fields = ["at", "votes", "comments", "stars"]
    ordering = ["-at"]
    extra = 0
    verbose_name_plural = "votes over time"


@admin.register(Paper)
class PaperAdmin(OnPages):
    list_display = ["identifier", "title", "votes", "stars", "comments", "published_at"]
    search_fields = ["identifier", "title"]
    list_filter = ["text_from", "is_sample"]
    ordering = ["-pk"]
    inlines = [ListingInline, ObservationInline]
    formfield_overrides = URLS
    show_full_result_count = False
    readonly_fields = [
        "identifier", "text_from", "votes", "comments", "stars", "is_sample", "created_at", "changed_at"
    ]  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Paper, form: Any, change: bool) -> None:
        obj.changed_at = clock.now()
        super().save_model(request, obj, form, change)
        analysis.refresh(Paper.objects.filter(pk=obj.pk))


class PlacementInline(admin.TabularInline):  # type: ignore[type-arg]
    """The first placements of an edition; the others are a click away in their own list."""

    model = Placement
    fields = ["rank", "place", "is_hidden", "title", "score", "votes", "note"]
    readonly_fields = ["rank", "title", "score", "votes"]
    ordering = ["rank", "pk"]
    extra = 0
    can_delete = False
    SHOWN = 60

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Placement]:
        rows = super().get_queryset(request).select_related("paper")
        first = Q(rank__lte=self.SHOWN) | Q(place__isnull=False) | Q(is_hidden=True) | ~Q(note="")
        return rows.filter(first)

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        formset.form.base_fields["note"].widget.attrs.update(rows=2, cols=30)
        return formset

    @admin.display(description="paper")
    def title(self, placement: Placement) -> SafeString:
        url = reverse("admin:digest_paper_change", args=[placement.paper_id])
        return format_html('<a href="{}">{}</a>', url, placement.paper.title)

    @admin.display
    def votes(self, placement: Placement) -> int | None:
        return placement.paper.votes


@admin.register(Edition)
class EditionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["date", "status", "papers", "letters", "published_at", "published_by", "is_sample"]
    list_filter = ["status", "is_sample"]
    date_hierarchy = "date"
    ordering = ["-date"]
    fields = [
        "date",
        "status",
        "published_at",
        "published_by",
        "built_at",
        "warnings",
        "intro",
        "intro_preview",
        "all_placements",
    ]
    readonly_fields = [
        "date",
        "status",
        "published_at",
        "published_by",
        "built_at",
        "warnings",
        "intro_preview",
        "all_placements",
    ]
    inlines = [PlacementInline]
    actions = ["publish", "rebuild"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        return (
            super()
            .get_queryset(request)
            .annotate(paper_count=Count("placements", distinct=True), letter_count=Count("deliveries", distinct=True))
        )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        editions.rerank(form.instance)

    def response_change(self, request: HttpRequest, obj: Edition) -> Any:
        if "_publish" not in request.POST:
            return super().response_change(request, obj)
        # By way of the actions, which are for those who may, and written down.
        function, *_ = self.get_actions(request)["publish"]  # type: ignore[misc]
        function(self, request, Edition.objects.filter(pk=obj.pk))
        return HttpResponseRedirect(request.path)

    @admin.display(ordering="paper_count")
    def papers(self, edition: Any) -> int:
        return int(edition.paper_count)

    @admin.display(ordering="letter_count")
    def letters(self, edition: Any) -> SafeString:
        url = reverse("admin:digest_delivery_changelist") + "?" + urlencode({"edition__id__exact": edition.pk})
        return format_html('<a href="{}">{}</a>', url, edition.letter_count)

    @admin.display(description="introduction as readers see it")
    def intro_preview(self, edition: Edition) -> SafeString:
        return mark_safe(prose.markdown(edition.intro))  # sanitised there

    @admin.display(description="placements")
    def all_placements(self, edition: Edition) -> SafeString:
        url = reverse("admin:digest_placement_changelist") + "?" + urlencode({"edition__id__exact": edition.pk})
        return format_html('<a href="{}">all of them, to search and filter</a>', url)

    @admin.action(description="Publish", permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[Edition]) -> None:
        for day in queryset.order_by("date").values_list("date", flat=True):
            try:
                edition = editions.publish(day, by=str(request.user), now=clock.now())
                self.message_user(request, f"{edition} is published; its letters leave as each becomes due.")
            except editions.NotToPublish as error:
                self.message_user(request, str(error), messages.ERROR)

    @admin.action(description="Rebuild (drafts only; what you did stays)", permissions=["change"])
    def rebuild(self, request: HttpRequest, queryset: QuerySet[Edition]) -> None:
        for day in queryset.filter(status=Edition.Status.DRAFT).order_by("date").values_list("date", flat=True):
            editions.build(day, now=clock.now())
            self.message_user(request, f"{day} is rebuilt.")


@admin.register(Placement)
class PlacementAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["rank", "edition", "paper", "score", "place", "is_hidden"]
    list_display_links = ["paper"]
    list_filter = ["is_hidden", "announce", ("edition", admin.RelatedOnlyFieldListFilter)]
    list_editable = ["place", "is_hidden"]
    list_select_related = ["edition", "paper"]
    search_fields = ["paper__title", "paper__identifier"]
    ordering = ["-edition__date", "rank", "pk"]
    fields = ["edition", "paper", "rank", "score", "announce", "listed_date", "place", "is_hidden", "note"]
    readonly_fields = ["edition", "paper", "rank", "score", "announce", "listed_date"]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Placement, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        editions.rerank(obj.edition)


@admin.register(Fetch)
class FetchAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["at", "source", "day", "outcome", "entries", "new_papers", "new_listings", "skipped", "message"]
    list_filter = ["outcome", "source"]
    list_select_related = ["source"]
    ordering = ["-pk"]
