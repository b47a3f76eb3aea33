from django.urls import path

from subscriptions import views

urlpatterns = [
    path("subscribe", views.subscribe, name="subscribe"),
    path("subscribe/check-inbox", views.check_inbox, name="check_inbox"),
    path("confirm/<str:token>", views.confirm, name="confirm"),
    path("manage/<str:token>", views.manage, name="manage"),
    path("link/<str:token>", views.link, name="link"),
    path("u/<str:token>", views.unsubscribe, name="unsubscribe"),
    path("outbox/", views.outbox_list, name="outbox"),
    path("outbox/<str:name>", views.outbox_letter, name="outbox_letter"),
    path("outbox/<str:name>/html", views.outbox_html, name="outbox_html"),
]
