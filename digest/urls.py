from datetime import date

from django.urls import path, register_converter

from digest.views import days, feedback, health


class DayConverter:
    regex = r"\d{4}-\d{2}-\d{2}"

    def to_python(self, value: str) -> date:
        return date.fromisoformat(value)

    def to_url(self, value: date) -> str:
        return value.isoformat()


register_converter(DayConverter, "day")

urlpatterns = [
    path("", days.front, name="front"),
    path("papers/date/<day:day>", days.edition, name="edition"),
    path("feedback/<str:token>/<int:paper>", feedback.rate, name="feedback"),
    path("taste/<str:token>", feedback.taste, name="taste"),
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
]
