import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError

from digest.models import Act
from digest.staff import acts, factors, gate, roles, sessions
from subscriptions import clock

BY = "command"


class Command(BaseCommand):
    help = "Staff accounts: make one with a role, or help somebody who cannot get in. Without a name: list them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?")
        hand = parser.add_mutually_exclusive_group()
        hand.add_argument("--role", choices=list(roles.ROLES), help="give this role; makes the account if need be")
        hand.add_argument("--reset-two-factor", action="store_true", help="a lost device: the next sign-in sets one up")
        hand.add_argument("--new-password", action="store_true", help="make a new password and print it")
        hand.add_argument("--sign-out", action="store_true", help="end every session of theirs")
        hand.add_argument("--unlock", action="store_true", help="let them try again after too many tries")

    def handle(self, *args: Any, **options: Any) -> None:
        roles.prepare()
        if not options["name"]:
            self._list()
            return
        user = User.objects.filter(username=options["name"]).first()
        if options["role"]:
            self._give(user, options["name"], options["role"])
            return
        if user is None:
            raise CommandError(f"There is no account {options['name']}. Make it: manage.py staff NAME --role curator")
        self._help(user, options)

    def _list(self) -> None:
        for user in User.objects.filter(is_staff=True).order_by("username").prefetch_related("groups"):
            names = ["superuser"] if user.is_superuser else [group.name for group in user.groups.all()]
            factor = "two-factor" if factors.has_one(user) else "password only"
            off = "" if user.is_active else ", switched off"
            self.stdout.write(f"{user.username}: {', '.join(names) or 'no role'}, {factor}{off}")

    def _give(self, user: User | None, name: str, role: str) -> None:
        password = ""
        if user is None:
            password = secrets.token_urlsafe(15)
            user = User.objects.create_user(name, password=password, is_staff=True)
        before = acts.linked(user)
        user.is_staff = True
        user.save(update_fields=["is_staff"])
        user.groups.set([Group.objects.get(name=role)])
        changes = acts.changes_between(before, acts.linked(user))
        self._record(Act.Action.ADDED if password else Act.Action.CHANGED, user, "", changes=changes)
        self.stdout.write(f"{name} is {role}." + (f" Password: {password}" if password else ""))

    def _help(self, user: User, options: dict[str, Any]) -> None:
        now = clock.now()
        if options["reset_two_factor"]:
            factors.reset(user)
            sessions.sign_out(user, now=now)
            self._record(Act.Action.TWO_FACTOR, user, "reset")
            self.stdout.write(f"{user} sets up a new authenticator at the next sign-in.")
        elif options["new_password"]:
            password = secrets.token_urlsafe(15)
            user.set_password(password)
            user.save(update_fields=["password"])
            self._record(Act.Action.PASSWORD, user, "")
            self.stdout.write(f"Password: {password}")
        elif options["sign_out"]:
            self.stdout.write(f"{sessions.sign_out(user, now=now)} signed out.")
            self._record(Act.Action.DID, user, "sign_out")
        elif options["unlock"]:
            gate.unlock(user.username)
            self._record(Act.Action.DID, user, "unlock")
            self.stdout.write(f"{user} may try again.")
        else:
            raise CommandError("Say what to do: --role, --reset-two-factor, --new-password, --sign-out or --unlock.")

    def _record(self, action: str, user: User, detail: str, **more: Any) -> None:
        acts.record(None, action, user, who=BY, detail=detail, now=clock.now(), **more)
