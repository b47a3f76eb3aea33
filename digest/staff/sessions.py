"""Signed in where: every session of an account, ended."""

from datetime import datetime

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session


def sign_out(user: User, *, now: datetime) -> int:
    """End every session of an account, wherever it is; how many there were."""
    ended = 0
    for session in Session.objects.filter(expire_date__gt=now).order_by("pk").iterator(chunk_size=500):
        if session.get_decoded().get("_auth_user_id") == str(user.pk):
            session.delete()
            ended += 1
    return ended
