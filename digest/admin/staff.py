"""Staff accounts: made and changed by administrators, with roles and without superuser."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path

from digest.models import Act
from digest.staff import acts, factors, gate, sessions
from subscriptions import clock
from subscriptions.desk import ReadOnly


@admin.register(User)
class StaffAdmin(UserAdmin):  # type: ignore[type-arg]
    list_display = ["username", "roles", "is_active", "last_login"]
    list_filter = ["is_active", "groups"]
    ordering = ["username"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Who", {"fields": ["first_name", "last_name", "email"]}),
        ("What they may do", {"fields": ["is_active", "groups"]}),
        ("Last seen", {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    actions = ["sign_out", "reset_two_factor", "unlock"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        names = [group.name for group in user.groups.all()]
        return ", ".join(["superuser", *names] if user.is_superuser else names)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Accounts are switched off; one is deleted by itself, never with a list."""
        return obj is not None and super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.is_staff = True
        super().save_model(request, obj, form, change)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302:
            acts.record(request, Act.Action.PASSWORD, User.objects.filter(pk=id).first(), now=clock.now())
        return answer

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in _those(request, queryset):
            self.message_user(request, f"{user}: {sessions.sign_out(user, now=clock.now())} signed out.")

    @admin.action(description="Take the second factor away (lost device)", permissions=["change"])
    def reset_two_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in _those(request, queryset):
            factors.reset(user)
            sessions.sign_out(user, now=clock.now())
            acts.record(request, Act.Action.TWO_FACTOR, user, detail="reset", now=clock.now())
            self.message_user(request, f"{user} sets up a new authenticator at the next sign-in.")

    @admin.action(description="Unlock after too many tries", permissions=["change"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in _those(request, queryset):
            gate.unlock(user.username)
            self.message_user(request, f"{user} may try again.")


@admin.register(Group)
class RoleAdmin(ReadOnly, GroupAdmin):
    """Roles are made by the program; who has which stands with the accounts."""


@admin.register(Act)
class ActAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["at", "who", "action", "kind", "name", "detail", "address"]
    list_filter = ["action", "kind", "at"]
    search_fields = ["who", "name", "detail"]
    ordering = ["-pk"]
    show_full_result_count = False
    actions = ["export"]

    def get_urls(self) -> list[URLPattern]:
        export = path("export/", self.admin_site.admin_view(self.export_all), name="digest_act_export")
        return [export, *super().get_urls()]

    def export_all(self, request: HttpRequest) -> StreamingHttpResponse:
        """Everything, oldest first, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self.export(request, Act.objects.all())

    @admin.action(description="Export as CSV", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[Act]) -> StreamingHttpResponse:
        headers = {"Content-Disposition": 'attachment; filename="acts.csv"'}
        lines = acts.lines(queryset.order_by("pk").iterator(chunk_size=2000))
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _may_touch(request: HttpRequest, user: Any) -> bool:
    """A superuser's account is a superuser's alone to change: a new password would be a way up."""
    return user is None or not user.is_superuser or bool(request.user.is_superuser)


def _those(request: HttpRequest, queryset: QuerySet[User]) -> list[User]:
    return [user for user in queryset.order_by("username") if _may_touch(request, user)]
