"""What the pages of Django admin have in common."""

from typing import Any

from django.contrib.admin.options import BaseModelAdmin
from django.http import HttpRequest


class ReadOnly(BaseModelAdmin):  # type: ignore[type-arg]
    """Looking, no touching: rows that only the system writes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
