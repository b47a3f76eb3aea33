from django.urls import path, re_path

from digest.api.urls import urlpatterns as api
from digest.views import citations, days, editions, feedback, health, letters, papers, search, topics

urlpatterns = [
    *api,
    path("", days.front, name="front"),
    path("papers", search.papers, name="papers"),
    path("papers/date", days.pick, name="pick"),
    path("papers/date/<str:text>", days.edition, name="edition"),
    path("papers/week/<str:text>", days.week, name="week"),
    path("papers/month/<str:text>", days.month, name="month"),
    path("papers/trending", days.trending, name="trending"),
    re_path(r"^papers/(?P<identifier>.+)\.(?P<form>bib|ris)\Z", citations.cite, name="cite"),
    path("papers/<path:text>", papers.paper, name="paper"),
    path("letters/mine/<str:token>", letters.mine, name="my_letters"),
    path("letters/<str:token>", letters.letter, name="letter"),
    path("editions", editions.editions, name="editions"),
    path("topics/preview", topics.preview, name="preview"),
    path("feedback/<str:token>/<int:paper>", feedback.rate, name="feedback"),
    path("taste/<str:token>", feedback.taste, name="taste"),
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
]
