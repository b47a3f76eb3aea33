"""What visitors may type to sign up, and what is wrong with it in words that help."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from subscriptions import mail
from subscriptions.languages import translated
from subscriptions.models import MOST_TOPICS, Subscriber
from subscriptions.query import QueryError, parse
from subscriptions.records import TEXT_VERSION, WORDINGS
from subscriptions.topics import Topic

LONGEST_NAME = 80
ZONES = [zone for zone in sorted(available_timezones()) if "/" in zone or zone == "UTC"]
#: What can be said in one word at sign-up; chosen days are chosen later.
AT_ONCE = [Subscriber.Cadence.DAILY, Subscriber.Cadence.WEEKDAYS, Subscriber.Cadence.WEEKLY, Subscriber.Cadence.MONTHLY]


class TopicsField(forms.CharField):
    """Topics as people write them: `robot video, diffusion -medical`, or one a line with a name: `Robots = robot*`."""

    widget = forms.Textarea

    def clean(self, value: Any) -> list[Topic]:
        text = super().clean(value)
        topics = [_topic(part) for part in split(text)]
        if len(topics) > MOST_TOPICS:
            raise forms.ValidationError(
                gettext("There is room for %(most)s topics; these are %(count)s.")
                % {"most": MOST_TOPICS, "count": len(topics)}
            )
        return list({topic.name.casefold(): topic for topic in topics}.values())


def split(text: str) -> list[str]:
    """Part topics at line breaks and commas; commas inside quotation marks and parentheses stay."""
    parts, part, depth, quoted = [], "", 0, False
    for sign in text + "\n":
        if sign == "\n" or (sign == "," and depth <= 0 and not quoted):
            parts.append(part.strip())
            part, depth, quoted = "", 0, False
            continue
        quoted ^= sign == '"'
        depth += ((sign == "(") - (sign == ")")) * (not quoted)
        part += sign
    return [part for part in parts if part]


def _topic(text: str) -> Topic:
    name, equals, query = text.partition(" = ")
    if not equals:
        query = name
    query = readable(query.strip())
    return Topic(name.strip()[:LONGEST_NAME], query)


def readable(query: str) -> str:
    """The query, if it can be read; else a ValidationError that says where it goes wrong and what may be meant."""
    try:
        parse(query)
    except QueryError as error:
        raise forms.ValidationError(_complaint(query[:60], error), code="query") from error
    return query


def _complaint(query: str, error: QueryError) -> str:
    said = {"query": query, "place": error.position + 1, "why": translated(error.message)}
    if error.position:
        complaint = gettext("“%(query)s” (at character %(place)s): %(why)s") % said
    else:
        complaint = gettext("“%(query)s”: %(why)s") % said
    return f"{complaint} {hint(error)}".rstrip()


def hint(error: QueryError) -> str:
    """What to try instead; "" where nothing suggests itself."""
    return gettext("Try: %(suggestion)s") % {"suggestion": error.suggestion} if error.suggestion else ""


def written(topics: list[Topic]) -> str:
    """Topics as text for the field, one a line."""
    return "\n".join(topic.query if topic.name == topic.query else f"{topic.name} = {topic.query}" for topic in topics)


def mailable(address: str) -> str:
    """The address, if a letter can be written to it."""
    try:
        mail.one_address(address)
    except mail.Unwritable as error:
        raise forms.ValidationError(_("Enter an address that letters can be sent to."), code="invalid") from error
    return address


class SignUp(forms.Form):
    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"placeholder": "you@example.org", "autocomplete": "email"}),
    )
    topics = TopicsField(
        label=_("Topics, if you like"),
        required=False,
        max_length=20_000,
        widget=forms.TextInput(
            attrs={"placeholder": "world models, robot* -medical", "autocomplete": "off", "list": "topic-suggestions"}
        ),
        help_text=_("With commas between. Without any you get the day's trending papers."),
    )
    cadence = forms.ChoiceField(
        label=_("How often"), required=False, choices=[(choice.value, choice.label) for choice in AT_ONCE]
    )
    #: A script fills these in; nothing is missing without.
    time_zone = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    form = forms.CharField(required=False, max_length=200, widget=forms.HiddenInput)
    proof = forms.CharField(required=False, max_length=1_000, widget=forms.HiddenInput)
    #: Left empty by people, who do not see it; whoever fills it in is answered as everybody is.
    website = forms.CharField(required=False, widget=forms.TextInput(attrs={"tabindex": "-1", "autocomplete": "off"}))

    @property
    def wording(self) -> str:
        return translated(WORDINGS[TEXT_VERSION])

    def clean_email(self) -> str:
        return mailable(self.cleaned_data["email"])

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        return zone if zone in ZONES else ""
