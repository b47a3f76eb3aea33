from django.urls import path, re_path

from digest.api.urls import urlpatterns as api
from digest.views import (
    citations,
    days,
    editions,
    feedback,
    feeds,
    health,
    letters,
    papers,
    search,
    site,
    thumbnails,
    topics,
)

FORM = "(?P<form>atom|rss|json)"

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
    path("papers/<path:identifier>/thumbnail.webp", thumbnails.thumbnail, name="thumbnail"),
    path("papers/<path:text>", papers.paper, name="paper"),
    path("letters/mine/<str:token>", letters.mine, name="my_letters"),
    path("letters/<str:token>", letters.letter, name="letter"),
    re_path(rf"^feeds/(?P<name>daily|trending|search)\.{FORM}\Z", feeds.feed, name="feed"),
    re_path(rf"^feeds/mine/(?P<token>[\w.-]+)\.{FORM}\Z", feeds.mine, name="my_feed"),
    path("robots.txt", site.robots, name="robots"),
    path("sitemap.xml", site.sitemap, name="sitemap"),
    path("sitemap-<str:name>.xml", site.sitemap_part, name="sitemap_part"),
    path("editions", editions.editions, name="editions"),
    path("topics/suggest", topics.suggest, name="suggest"),
    path("topics/preview", topics.preview, name="preview"),
    path("topics/rate", topics.rate, name="rate"),
    path("feedback/<str:token>/<int:paper>", feedback.rate, name="feedback"),
    path("taste/<str:token>", feedback.taste, name="taste"),
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
]
