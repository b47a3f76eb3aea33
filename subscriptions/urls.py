from django.urls import path

from subscriptions.views import account, leave, manage, outbox, sign_up

urlpatterns = [
    path("subscribe", sign_up.subscribe, name="subscribe"),
    path("subscribe/check-inbox", sign_up.check_inbox, name="check_inbox"),
    path("subscribe/challenge", sign_up.challenge, name="challenge"),
    path("subscribe/form", sign_up.framed, name="sign_up_framed"),
    path("subscribe/embed", sign_up.embed, name="embed"),
    path("api/v1/subscribe", sign_up.subscribe_json, name="subscribe_json"),
    path("confirm/<str:token>", sign_up.confirm, name="confirm"),
    path("manage/<str:token>", manage.manage, name="manage"),
    path("manage/<str:token>/topics", manage.change_topics, name="change_topics"),
    path("manage/<str:token>/add", manage.add_topic, name="add_topic"),
    path("manage/<str:token>/pause", manage.pause, name="pause"),
    path("manage/<str:token>/import", manage.import_topics, name="import_topics"),
    path("account/<str:token>", account.show, name="account"),
    path("account/<str:token>/export", account.export, name="export"),
    path("account/<str:token>/move", account.move, name="move"),
    path("account/<str:token>/erase", account.erase, name="erase"),
    path("move-from/<str:token>", account.move_from, name="move_from"),
    path("move-to/<str:token>", account.move_to, name="move_to"),
    path("link/<str:token>", leave.link, name="link"),
    path("u/<str:token>", leave.unsubscribe, name="unsubscribe"),
    path("u/<str:token>/<str:mark>", leave.topic, name="leave_topic"),
    path("outbox/", outbox.outbox_list, name="outbox"),
    path("outbox/<str:name>", outbox.outbox_letter, name="outbox_letter"),
    path("outbox/<str:name>/html", outbox.outbox_html, name="outbox_html"),
]
