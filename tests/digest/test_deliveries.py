import re
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from zoneinfo import ZoneInfo

import pytest
from django.core import mail as django_mail
from django.db import IntegrityError, transaction

from digest import editions, names
from digest.deliveries import ledger, runs
from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.deliveries.sweep import forget, sweep
from digest.models import Batch, Delivery, DeliveryEvent, Edition, Readership
from subscriptions import account, consent, mail
from subscriptions.mail import Outcome, Verdict
from subscriptions.models import Subscription
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db
VISIT = consent.Visit()


def send(**values):
    return send_due(clock=lambda: NOW, today=DAY, **values)


def deliver(day=DAY):
    queue(now=NOW, today=day, by_hand=True)
    return send()


def papers_of(delivery):
    return [paper for _, _, papers in delivery.sections for paper in papers]


class Carrier:
    """A way of sending that answers as told, in order; then everything is sent."""

    name = "fake"

    def __init__(self, *verdicts):
        self.verdicts, self.letters = list(verdicts), []

    @contextmanager
    def carrier(self):
        yield self

    def send(self, letter):
        self.letters.append(letter)
        return self.verdicts.pop(0) if self.verdicts else Verdict(Outcome.SENT)

    def run(self, jobs):
        while isinstance(job := jobs.next(), mail.Job):
            jobs.begin(job)
            jobs.done(job, self.send(job.letter))
            jobs.tick()


@pytest.fixture
def answers(monkeypatch):
    def use(*verdicts):
        carrier = Carrier(*verdicts)
        monkeypatch.setattr(mail, "transports", lambda: [carrier])
        return carrier

    return use


# What is owed -------------------------------------------------------------------------------------------------------


def test_a_reader_gets_the_papers_of_a_topic_with_the_reason():
    robots = make.paper("World models for robots")
    make.edition([make.paper("Soup"), robots])
    make.subscriber(topics=[("Robots", "robot"), ("Nothing", "unheard")], wants_trending=False)

    queue(now=NOW, today=DAY)

    assert Delivery.objects.get().sections == [["Robots", "robot", [robots.pk]]]


def test_each_subscriber_is_owed_one_letter_however_often_it_is_queued():
    make.edition([make.paper("Robots")])
    make.subscriber(topics=["robot"])

    first, second = queue(now=NOW, today=DAY), queue(now=NOW, today=DAY)

    assert (first.queued, second.queued) == (1, 0)
    assert Delivery.objects.count() == 1


def test_the_database_refuses_a_second_letter_for_a_day():
    edition = make.edition([make.paper()])
    reader = make.subscriber()
    batch = Batch.objects.create(run=runs.of(edition, now=NOW), size=2, created_at=NOW)
    row = {"subscriber": reader, "day": DAY, "edition": edition, "email": reader.email, "due_at": NOW,
           "next_try_at": NOW, "created_at": NOW, "batch": batch}  # fmt: skip
    Delivery.objects.create(**row)

    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.create(**row)


def test_somebody_without_a_matching_paper_is_excluded_with_the_reason():
    make.edition([make.paper("Soup")])
    make.subscriber(topics=["robot"], wants_trending=False)

    queue(now=NOW, today=DAY)

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason) == ("excluded", "no paper matched")


def test_somebody_who_wants_empty_letters_gets_them():
    make.edition([make.paper("Soup")])
    make.subscriber(topics=["robot"], wants_trending=False, wants_empty=True)

    queue(now=NOW, today=DAY)
    send()

    assert Delivery.objects.get().status == "sent"


@pytest.mark.parametrize("status", ["pending", "unsubscribed", "suppressed"])
def test_somebody_without_consent_is_owed_nothing(status):
    make.edition([make.paper()])
    make.subscriber(status=status)

    queue(now=NOW, today=DAY)

    assert not Delivery.objects.exists()


def test_a_pause_ends_on_its_day():
    make.edition([make.paper()])
    make.subscriber("away@example.net", status="paused", paused_until=DAY + timedelta(days=1))
    make.subscriber("back@example.net", status="paused", paused_until=DAY)

    queue(now=NOW, today=DAY)

    assert [row.email for row in Delivery.objects.all()] == ["back@example.net"]


def test_nothing_is_queued_before_the_readers_own_hour():
    make.edition([make.paper()])
    make.subscriber("early@example.net", send_hour=7, time_zone="UTC")
    make.subscriber("late@example.net", send_hour=9, time_zone="UTC")
    make.subscriber("west@example.net", send_hour=7, time_zone="America/New_York")

    queue(now=NOW, today=DAY)

    assert [row.email for row in Delivery.objects.all()] == ["early@example.net"]


def test_a_paper_reaches_a_reader_once_whatever_the_day_or_topic():
    paper = make.paper("Robots")
    make.edition([paper], day=DAY)
    make.subscriber(topics=["robot", "title:robots"])
    deliver(DAY)
    make.edition([paper, make.paper("Robots again")], day=DAY + timedelta(days=1))

    deliver(DAY + timedelta(days=1))

    given = [paper for row in Delivery.objects.all() for paper in papers_of(row)]
    assert len(given) == len(set(given)) == 2


def test_never_twice_takes_no_row_for_a_paper_and_a_subscriber():
    make.edition([make.paper("Robots"), make.paper("Robots too")])
    for _ in range(20):
        make.subscriber(topics=["robot"])

    queue(now=NOW, today=DAY)

    assert Readership.objects.count() == 2
    assert {len(row.subscribers) // 4 for row in Readership.objects.all()} == {20}


def test_a_weekly_letter_holds_the_weeks_editions():
    monday = date(2026, 6, 1)
    for back in range(1, 6):
        make.edition([make.paper(f"Robot {back}")], day=monday - timedelta(days=back))
    make.edition([make.paper("Robot now")], day=monday)
    make.subscriber(topics=["robot"], cadence="weekly")

    queue(now=NOW, today=monday, by_hand=True)

    assert Delivery.objects.get().papers_count == 6


def test_a_missed_edition_published_late_still_reaches_daily_readers():
    make.edition([make.paper("Robots of Monday")], day=DAY - timedelta(days=1), published_at=NOW - timedelta(hours=1))
    make.edition([make.paper("Robots of Tuesday")], day=DAY)
    make.subscriber(topics=["robot"])

    queue(now=NOW, today=DAY)

    assert Delivery.objects.get().papers_count == 2


def test_an_edition_published_in_time_is_not_told_again_the_next_day():
    make.edition(
        [make.paper("Robots of Monday")], day=DAY - timedelta(days=1), published_at=NOW - timedelta(days=1, hours=2)
    )
    make.edition([make.paper("Robots of Tuesday")], day=DAY)
    make.subscriber(topics=["robot"])

    queue(now=NOW, today=DAY)

    assert Delivery.objects.get().papers_count == 1


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("UTC", 7), ("UTC", 0), ("Asia/Tokyo", 7), ("Pacific/Auckland", 6), ("America/Los_Angeles", 7), ("UTC", 23)],
)
def test_every_edition_comes_at_the_readers_own_hour_all_over_the_world(zone, hour):
    """Weekday editions of three weeks, published at six in the morning UTC; beat asks every hour."""
    make.subscriber(topics=["robot"], time_zone=zone, send_hour=hour)
    days = [date(2026, 6, 1) + timedelta(days=n) for n in range(19)]
    weekdays = [day for day in days if day.weekday() < 5]
    for day in weekdays:
        moment = datetime(day.year, day.month, day.day, 6, tzinfo=UTC)
        make.edition([make.paper(f"Robot of {day}", day=day)], day=day, published_at=moment)
    published = list(Edition.objects.all())

    arrived = []
    Edition.objects.update(status="draft", published_at=None)
    for tick in range(21 * 24):
        now = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=tick)
        for edition in published:
            if edition.published_at == now:
                Edition.objects.filter(pk=edition.pk).update(status="published", published_at=now)
        if queue(now=now, today=now.date()).queued:
            arrived.append(now.astimezone(ZoneInfo(zone)))

    assert len(arrived) == len(weekdays)
    assert {(moment.hour, moment.minute) for moment in arrived[1:]} == {(hour, 0)}
    assert len({paper for row in Delivery.objects.all() for paper in papers_of(row)}) == len(weekdays)


def test_hidden_papers_are_in_no_letter():
    shown, hidden = make.paper("Robots"), make.paper("Robots too")
    edition = make.edition([hidden, shown])
    edition.placements.filter(paper=hidden).update(is_hidden=True)
    make.subscriber(topics=["robot"])

    queue(now=NOW, today=DAY)

    assert papers_of(Delivery.objects.get()) == [shown.pk]


def test_a_draft_is_delivered_to_nobody():
    make.edition([make.paper()], published=False)
    make.subscriber()

    queue(now=NOW, today=DAY)

    assert not Delivery.objects.exists()


def test_a_stored_query_that_cannot_be_read_spoils_nothing():
    make.edition([make.paper("Robots")])
    reader = make.subscriber(topics=["robot"])
    Subscription.objects.create(subscriber=reader, label="Broken", query='"never closed', position=9, created_at=NOW)

    queue(now=NOW, today=DAY)

    assert Delivery.objects.get().papers_count == 1


def test_the_number_of_queries_does_not_grow_with_subscribers(django_assert_max_num_queries):
    make.edition([make.paper("Robots")])
    for _ in range(40):
        make.subscriber(topics=["robot", "soup"])

    with django_assert_max_num_queries(30):
        queue(now=NOW, today=DAY)


# Sending ------------------------------------------------------------------------------------------------------------


def test_what_was_queued_is_sent_once(answers):
    post = answers()
    make.edition([make.paper("Robots")])
    make.subscriber(topics=["robot"])

    deliver()
    send()

    assert len(post.letters) == 1
    assert Delivery.objects.get().status == "sent"


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict(Outcome.SENT), "sent"),
        (Verdict(Outcome.DEFERRED, "450 later"), "deferred"),
        (Verdict(Outcome.FAILED, "550 no such user"), "failed"),
        (Verdict(Outcome.UNCERTAIN, "no answer"), "uncertain"),
        (Verdict(Outcome.TROUBLE, "535 who are you"), "queued"),
    ],
)
def test_a_row_is_settled_with_what_was_answered(answers, verdict, status):
    answers(verdict)
    make.edition([make.paper()])
    make.subscriber()

    deliver()

    row = Delivery.objects.get()
    assert (row.status, row.reason) == (status, verdict.reason)
    assert not Batch.objects.held().exists()


def test_a_deferred_letter_is_tried_again_later_and_gives_up_in_the_end(answers):
    later = Verdict(Outcome.DEFERRED, "450 later")
    answers(*[later] * 20)
    make.edition([make.paper()])
    make.subscriber()
    queue(now=NOW, today=DAY)

    now, tries = NOW, 0
    while Delivery.objects.get().status != "failed":
        tries += send_due(clock=lambda moment=now: moment, today=DAY).counts.total()
        row = Delivery.objects.get()
        assert row.next_try_at > now or row.status == "failed"
        now = max(now, row.next_try_at)

    assert tries == 6


def test_a_server_that_will_not_talk_to_us_stops_the_run_and_costs_nobody_an_attempt(answers):
    post = answers(Verdict(Outcome.SENT), Verdict(Outcome.TROUBLE, "421 go away"))
    make.edition([make.paper()])
    for _ in range(5):
        make.subscriber()
    queue(now=NOW, today=DAY)

    result = send()

    assert result.trouble == "421 go away"
    assert len(post.letters) == 2
    assert sorted(row.status for row in Delivery.objects.all()) == ["queued"] * 4 + ["sent"]
    assert {row.attempts for row in Delivery.objects.filter(status="queued")} == {0}


def test_uncertain_letters_are_never_sent_again_by_themselves(answers):
    post = answers(Verdict(Outcome.UNCERTAIN, "no answer"))
    make.edition([make.paper()])
    make.subscriber()
    deliver()

    send_due(clock=lambda: NOW + timedelta(days=2), today=DAY)

    assert len(post.letters) == 1


def test_someone_who_left_after_queueing_gets_nothing(answers):
    post = answers()
    make.edition([make.paper()])
    reader = make.subscriber()
    queue(now=NOW, today=DAY)
    consent.unsubscribe(reader.pk, now=NOW, visit=VISIT)

    send()

    assert post.letters == []
    row = Delivery.objects.get()
    assert row.status == "excluded"
    assert "unsubscribed" in row.reason


def test_someone_who_left_after_the_claim_gets_nothing(answers, monkeypatch):
    make.edition([make.paper()])
    first, second = make.subscriber("a@example.net"), make.subscriber("b@example.net")
    queue(now=NOW, today=DAY)
    post = answers()
    now = [NOW]
    send_one = post.send

    def slowly(letter):
        consent.unsubscribe(second.pk, now=NOW, visit=VISIT)
        now[0] += timedelta(seconds=1)
        return send_one(letter)

    post.send = slowly
    send_due(clock=lambda: now[0], today=DAY)

    assert [letter.to for letter in post.letters] == [first.email]
    assert Delivery.objects.get(email=second.email).status == "excluded"


def test_many_who_left_keep_nobody_from_their_letter(answers):
    post = answers()
    make.edition([make.paper()])
    leavers = [make.subscriber() for _ in range(60)]
    make.subscriber("stays@example.net")
    queue(now=NOW, today=DAY)
    for reader in leavers:
        consent.unsubscribe(reader.pk, now=NOW, visit=VISIT)

    send()

    assert [letter.to for letter in post.letters] == ["stays@example.net"]
    assert Delivery.objects.filter(status="excluded").count() == 60


def test_two_workers_never_hold_one_letter(monkeypatch):
    monkeypatch.setattr(ledger, "SIZE", 40)
    make.edition([make.paper()])
    for _ in range(60):
        make.subscriber()
    queue(now=NOW, today=DAY)

    one, two = (ledger.claim(worker, now=NOW) for worker in ("one", "two"))

    assert ledger.claim("three", now=NOW) is None
    taken = [
        ledger.take(ledger.waiting(batch, now=NOW), worker=batch.claimed_by, now=NOW, today=DAY) for batch in (one, two)
    ]
    assert sorted(map(len, taken)) == [20, 40]
    assert not {row.delivery for row in taken[0]} & {row.delivery for row in taken[1]}


def test_what_a_worker_on_a_lost_machine_had_taken_is_uncertain_and_the_rest_goes_on():
    make.edition([make.paper()])
    for _ in range(3):
        make.subscriber()
    queue(now=NOW, today=DAY)
    batch = ledger.claim("dead", now=NOW)
    ledger.take(ledger.waiting(batch, now=NOW)[:1], worker="dead", now=NOW, today=DAY)

    sweep(now=NOW + timedelta(minutes=1))
    assert Batch.objects.held().count() == 1
    sweep(now=NOW + timedelta(minutes=10))

    assert sorted(row.status for row in Delivery.objects.all()) == ["queued", "queued", "uncertain"]
    assert not Batch.objects.held().exists()


def test_a_letter_that_cannot_be_written_fails_alone(answers, monkeypatch):
    from digest.letter import Press

    write = Press.write

    def broken(self, row):
        if row.email == "bad@example.net":
            raise ValueError("a paper of stone")
        return write(self, row)

    monkeypatch.setattr(Press, "write", broken)
    answers()
    make.edition([make.paper()])
    for email in ("a@example.net", "bad@example.net", "c@example.net"):
        make.subscriber(email)

    deliver()

    assert {row.email: row.status for row in Delivery.objects.all()} == {
        "a@example.net": "sent", "bad@example.net": "failed", "c@example.net": "sent",
    }  # fmt: skip
    assert "a paper of stone" in Delivery.objects.get(status="failed").reason


def test_candidates_are_always_all_accounted_for(answers):
    answers(Verdict(Outcome.FAILED, "550"), Verdict(Outcome.UNCERTAIN, "lost"), Verdict(Outcome.DEFERRED, "450"))
    make.edition([make.paper("Robots")])
    for topic in ["robot"] * 6 + ["soup"] * 3:
        make.subscriber(topics=[topic], wants_trending=False)

    deliver()

    counts = {status: Delivery.objects.filter(status=status).count() for status in Delivery.Status.values}
    assert sum(counts.values()) == 9
    assert counts["excluded"] == 3
    assert Delivery.objects.waiting().count() == 1


# The letter ---------------------------------------------------------------------------------------------------------


def written():
    """The letters in the test backend's outbox, parsed as their readers' programs do."""
    return [message_from_bytes(message.message().as_bytes(), policy=policy.default) for message in django_mail.outbox]


@pytest.fixture
def locmem(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def test_the_letter_says_why_each_paper_is_there(locmem):
    make.edition([make.paper("A World Model for Robots", votes=7)])
    make.subscriber("reader@example.net", topics=[("Robots", '"world model" votes:>=5')])

    deliver()

    (letter,) = written()
    text = letter.get_body(("plain",)).get_content()
    html = letter.get_body(("html",)).get_content()
    assert "Robots: World Model in the title, 7 votes" in text
    assert "<em>Robots</em>: <strong>World Model</strong> in the title, <strong>7 votes</strong>" in html


def test_the_letter_has_the_headers_of_bulk_mail_each_once(locmem):
    make.edition([make.paper("Robots")])
    make.subscriber("reader@example.net", topics=["robot"])

    deliver()

    (letter,) = written()
    for name in ["From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
                 "Feedback-ID", "Auto-Submitted", "X-Delivery-ID"]:  # fmt: skip
        assert len(letter.get_all(name, [])) == 1, name
    assert letter["To"] == "reader@example.net"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(r"<http://papers\.example\.org/u/[\w.:-]+>", letter["List-Unsubscribe"].strip())
    assert letter["Message-ID"] == f"<d.{names.name_of(Delivery.objects.get().pk)}@papers.example.org>"
    assert letter["Subject"] == "1 paper for Tue 2 June: robot"
    assert letter.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in letter.iter_parts()] == ["text/plain", "text/html"]


def test_both_parts_hold_the_way_out(locmem):
    make.edition([make.paper("Robots")])
    make.subscriber("reader@example.net")

    deliver()

    (letter,) = written()
    url = letter["List-Unsubscribe"].strip(" <>")
    assert url in letter.get_body(("plain",)).get_content()
    assert url in letter.get_body(("html",)).get_content()


def test_every_attempt_carries_the_same_message_id(answers):
    post = answers(Verdict(Outcome.DEFERRED, "450"))
    make.edition([make.paper()])
    make.subscriber()
    deliver()
    send_due(clock=lambda: NOW + timedelta(hours=1), today=DAY)

    first, second = post.letters

    assert first.headers == second.headers


def test_the_largest_letter_stays_under_gmails_cut(locmem):
    words = "Überraschend lange Zusammenfassung mit Umlauten äöü "
    papers = [make.paper(f"Robots {number} " + "of many words " * 15, abstract=words * 40, ai_summary="", votes=5)
              for number in range(100)]  # fmt: skip
    make.edition(papers)
    make.subscriber(topics=["robot"], max_papers=100)

    deliver()

    message = django_mail.outbox[0].message()
    html = next(part for part in message.walk() if part.get_content_type() == "text/html")
    assert len(html.get_payload().encode()) <= 90_000
    assert max(map(len, message.as_bytes().splitlines())) <= 998
    assert re.search(r"and \d+ more on the web page", html.get_payload(decode=True).decode())
    text = next(part for part in message.walk() if part.get_content_type() == "text/plain")
    assert text.get_payload(decode=True).decode().count("robot: Robots in the title") == 100


def test_titles_and_names_cannot_leave_their_place(locmem):
    make.edition(
        [make.paper("<script>alert(1)</script> robots {{ 7 }}", authors=[{"name": "<b>Ada</b>", "hidden": False}])]
    )
    make.subscriber(topics=[("Robots\r\nBcc: all@example.net <img src=x>", "robot")])

    deliver()

    (letter,) = written()
    html = letter.get_body(("html",)).get_content()
    assert "<script>" not in html
    assert "<img" not in html
    assert "<b>Ada" not in html
    assert "{{ 7 }}" in html
    assert letter["Bcc"] is None
    assert letter["Subject"].startswith("1 paper for Tue 2 June")


def test_the_editors_words_are_in_the_letter(locmem):
    paper = make.paper("Robots")
    edition = make.edition([paper], intro="Good *morning*.")
    edition.placements.update(note="Read the **appendix**. <script>x</script>")
    make.subscriber(topics=["robot"])

    deliver()

    (letter,) = written()
    html, text = (letter.get_body((kind,)).get_content() for kind in ("html", "plain"))
    assert "<em>morning</em>" in html
    assert "<strong>appendix</strong>" in html
    assert "<script>" not in html
    assert "Read the appendix" in text


def test_who_wants_text_gets_text_alone(locmem):
    make.edition([make.paper("Robots")])
    make.subscriber(topics=["robot"], format="text")

    deliver()

    (letter,) = written()
    assert letter.get_content_type() == "text/plain"


def test_a_paper_is_rendered_once_for_all_letters(monkeypatch, answers):
    from digest import letter

    rendered = []
    render = letter.render_to_string
    monkeypatch.setattr(
        letter, "render_to_string", lambda name, context: (rendered.append(name), render(name, context))[1]
    )
    answers()
    make.edition([make.paper("Robots"), make.paper("Robots too")])
    for _ in range(60):  # more than one batch
        make.subscriber(topics=["robot"])

    deliver()

    assert rendered.count("email/digest/paper.txt") == 2
    assert rendered.count("email/digest/body.html") == 1


def test_a_published_editions_letters_do_not_change_when_it_is_built_again(answers):
    make.paper("Robots")
    editions.build(DAY, now=NOW)
    editions.publish(DAY, by="editor", now=NOW)
    make.subscriber(topics=["robot"])
    queue(now=NOW, today=DAY)
    before = Delivery.objects.get().sections
    make.paper("Robots that came late")

    editions.build(DAY, now=NOW)
    queue(now=NOW, today=DAY)

    assert Delivery.objects.get().sections == before


def test_a_reader_who_wants_votes_gets_no_papers_with_fewer_in_topics():
    few, many = make.paper("Robots of Few", votes=2), make.paper("Robots of Many", votes=9)
    unknown = make.paper("Robots of Nobody", votes=None)
    make.edition([few, many, unknown])
    make.subscriber(topics=["robot"], min_votes=3, wants_trending=False)
    make.subscriber(topics=["robot"], wants_trending=False)

    queue(now=NOW, today=DAY, by_hand=True)

    choosy, other = Delivery.objects.order_by("pk")
    assert papers_of(choosy) == [many.pk]
    assert sorted(papers_of(other)) == sorted([few.pk, many.pk, unknown.pk])


def test_an_erased_reader_leaves_no_address_and_no_topics_in_the_ledger():
    make.edition([make.paper("Robots")])
    erased = make.subscriber("erased@example.net", topics=["robot"])
    make.subscriber("stays@example.net", topics=["robot"])
    deliver()
    failed = Delivery.objects.get(subscriber=erased)
    Delivery.objects.filter(pk=failed.pk).update(status="failed", reason="550 <erased@example.net> unknown")
    DeliveryEvent.objects.create(
        delivery=failed, kind="hard", at=NOW, service="x", event_id="1", email=erased.email, detail=erased.email
    )
    account.erase(erased.pk)

    assert [forget(), forget()] == [1, 0]
    text = str(list(Delivery.objects.order_by("pk").values())) + str(list(DeliveryEvent.objects.values()))
    assert "erased@" not in text
    assert Delivery.objects.get(pk=failed.pk).sections == []
    assert "stays@example.net" in text


def test_a_letter_that_waits_for_an_erased_reader_is_not_sent():
    make.edition([make.paper("Robots")])
    reader = make.subscriber("erased@example.net", topics=["robot"])
    queue(now=NOW, today=DAY, by_hand=True)
    account.erase(reader.pk)

    assert not send().counts.get("sent")
    assert forget() == 1
