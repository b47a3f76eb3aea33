"""Every page of the desk writes down what is done with it, whoever wrote the page."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.admin.options import BaseModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from digest.models import Act
from digest.staff.acts import Values, changes_between, linked, masked, values_of
from digest.staff.acts import record as write
from subscriptions import clock

#: Rows whose fields are compared when an action changes many; of the others it is written that they were there.
COMPARED = 500


def record(request: HttpRequest, action: str, obj: Model | None = None, **more: Any) -> None:
    write(request, action, obj, now=clock.now(), **more)


class Audited(BaseModelAdmin):  # type: ignore[type-arg]
    """Put before the class of every page of the desk when it is registered."""

    model: type[Model]

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)  # type: ignore[misc]
        return {
            name: (function if name == "delete_selected" else _audited(function, name), name, words)
            for name, (function, _, words) in actions.items()
        }

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = self._stored(obj) if change else {}
        super().save_model(request, obj, form, change)  # type: ignore[misc]
        action = Act.Action.CHANGED if change else Act.Action.ADDED
        changes = changes_between(before, self._stored(obj))
        if changes or not change:
            record(request, action, obj, changes=changes)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = linked(form.instance)
        super().save_related(request, form, formsets, change)  # type: ignore[misc]
        if changes := changes_between(before, linked(form.instance)):
            record(request, Act.Action.CHANGED, form.instance, changes=changes)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        touched = [one.instance for one in formset.initial_forms if one.has_changed()]
        rows = formset.model._default_manager.filter(pk__in=[one.pk for one in touched])
        before, names = values_of(rows), {one.pk: masked(one) for one in rows}
        keys = set(before)
        super().save_formset(request, form, formset, change)  # type: ignore[misc]
        after = values_of(formset.model._default_manager.filter(pk__in=keys))
        label = formset.model._meta.label_lower
        for key in sorted(keys):
            if found := changes_between(before[key], after.get(key, {})):
                action = Act.Action.CHANGED if key in after else Act.Action.DELETED
                detail = f"{label} {key}: {names[key]}"
                record(request, action, form.instance, detail=detail, changes=found)
        for one in getattr(formset, "new_objects", []):
            made = values_of(formset.model._default_manager.filter(pk=one.pk)).get(one.pk, {})
            changes = changes_between({}, made)
            record(request, Act.Action.ADDED, form.instance, detail=f"{label} {one.pk}: {one}", changes=changes)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        before, copy = self._stored(obj), type(obj)(pk=obj.pk)
        name = masked(obj)
        super().delete_model(request, obj)  # type: ignore[misc]
        record(request, Act.Action.DELETED, copy, changes=changes_between(before, {}), detail=name)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        before = values_of(queryset)
        super().delete_queryset(request, queryset)  # type: ignore[misc]
        for key, values in before.items():
            record(request, Act.Action.DELETED, queryset.model(pk=key), changes=changes_between(values, {}))

    def _stored(self, obj: Any) -> Values:
        return values_of(type(obj)._default_manager.filter(pk=obj.pk)).get(obj.pk, {})


def _audited(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(page: Any, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        with _acting(request, name, queryset):
            return function(page, request, queryset)

    return wrapped


@contextmanager
def _acting(request: HttpRequest, name: str, queryset: QuerySet[Any]) -> Iterator[None]:
    """What somebody does to rows by an action, and what became of them."""
    keys = list(queryset.order_by().values_list("pk", flat=True)[: COMPARED + 1])
    rows = queryset.model._default_manager.filter(pk__in=keys[:COMPARED])
    before = values_of(rows.all())
    try:
        yield
    finally:
        after = values_of(rows.all())
        for row in rows.all():
            changes = changes_between(before.get(row.pk, {}), after.get(row.pk, {}))
            record(request, Act.Action.DID, row, detail=name, changes=changes)
        if len(keys) > COMPARED:
            record(request, Act.Action.DID, detail=f"{name}: and more of {queryset.model._meta.label_lower}")
