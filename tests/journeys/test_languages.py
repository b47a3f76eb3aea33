"""A reader who reads French: pages, letters, and the choice at the foot of each page."""

import pytest

from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from subscriptions import clock, notices
from subscriptions.models import Subscriber
from tests import make
from tests.make import DAY


@pytest.fixture
def locale():
    return "fr-FR"


def test_a_subscription_in_french_from_the_first_page_to_the_first_letter(reader, settings):
    settings.DIGEST_TODAY = DAY
    make.edition([make.paper("Robots That Fold", votes=12), make.paper("Soup")])
    reader.open("/")
    page = reader.sees("Recevez les articles en vogue dans votre boîte de réception")
    assert page.get_by_role("heading", name="Mardi 2 juin 2026").is_visible()
    page.get_by_label("Adresse électronique").fill("lectrice@example.net")
    page.get_by_label("Sujets").fill("robot")
    reader.press("S’abonner")
    reader.sees("Consultez votre boîte de réception")
    notices.send_due(now=clock.now())
    reader.follows(reader.opens_letter("Veuillez confirmer"), "Ouvrir la page")
    reader.sees("Confirmez votre abonnement")
    reader.press("Oui, envoyez-moi des articles")
    reader.sees("Votre abonnement est confirmé").get_by_role("link", name="Régler les sujets").click()
    assert reader.sees("Votre abonnement").get_by_label("Langue des lettres").input_value() == "fr"

    Subscriber.objects.update(send_hour=0)
    queue(now=clock.now(), today=DAY, by_hand=True)
    send_due(clock=clock.now, today=DAY)
    letter = reader.opens_letter("2 articles pour le mardi 2 juin")
    assert "Robots dans le titre" in letter.locator("body").inner_text()
    reader.follows(letter, "Ne plus suivre ce sujet")
    reader.sees("Ne plus suivre le sujet « robot »")


def test_the_language_is_chosen_at_the_foot_of_a_page(reader):
    make.edition([make.paper("Robots That Fold")])
    reader.open("/papers?q=robot")

    reader.page.get_by_role("button", name="English").click()
    assert reader.page.url.endswith("/papers?q=robot")
    assert "1 paper matches these words." in reader.page.inner_text("main")
    reader.open("/editions")
    reader.sees("Editions of 2026")
    reader.page.get_by_role("button", name="français").click()
    reader.sees("Éditions de 2026")
