"""What an operator may do with readers' records."""

import csv
import io

import pytest

from subscriptions import consent
from subscriptions.consent import Topic, Visit, Wish
from subscriptions.models import Consent, Notice
from subscriptions.records import WORDINGS
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db


def act(admin_client, model, action, rows):
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return admin_client.post(f"/admin/subscriptions/{model}/", data)


def test_the_record_of_consent_is_a_table_without_formulas(admin_client):
    visit = Visit(ip="192.0.2.7", user_agent="=cmd()", form_url="/subscribe")
    wish = Wish((Topic("=Söup", "soup"),), "weekly")
    consent.subscribe("+reader@example.net", wish, now=NOW, visit=visit)

    response = act(admin_client, "consent", "export", Consent.objects.all())

    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert rows[0] == {
        "address": "'+reader@example.net", "event": "requested", "at": "2026-06-02T08:00:00+00:00",
        "topics": '[["=Söup", "soup"]]', "cadence": "weekly", "detail": "", "why": "", "comment": "",
        "form": "/subscribe", "ip": "192.0.2.7", "browser": "'=cmd()", "version": "2026-11",
        "wording": WORDINGS["2026-11"],
    }  # fmt: skip


def test_letters_that_wait_can_be_dropped(admin_client):
    consent.subscribe("reader@example.net", Wish(), now=NOW, visit=Visit())
    reader = make.subscriber("other@example.net")
    consent.request_link(reader, now=NOW)
    Notice.objects.filter(subscriber=reader).update(status="sent")

    act(admin_client, "notice", "drop", Notice.objects.all())

    assert list(Notice.objects.order_by("pk").values_list("status", "reason")) == [
        ("failed", "dropped by admin"),
        ("sent", ""),
    ]
