from datetime import date

from django.urls import path, register_converter

from digest import views


class DayConverter:
    regex = r"\d{4}-\d{2}-\d{2}"

    def to_python(self, value: str) -> date:
        return date.fromisoformat(value)

    def to_url(self, value: date) -> str:
        return value.isoformat()


register_converter(DayConverter, "day")

urlpatterns = [
    path("", views.front, name="front"),
    path("papers/date/<day:day>", views.edition, name="edition"),
    path("health/live", views.live, name="live"),
    path("health/ready", views.ready, name="ready"),
]
