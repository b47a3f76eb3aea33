"""The forms of a reader's own page: topics, days and hour, a pause, an import, another address, leaving."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.forms.formsets import BaseFormSet
from django.http import QueryDict
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from subscriptions import builder
from subscriptions.forms import LONGEST_NAME, ZONES, mailable, readable
from subscriptions.interests import LARGEST
from subscriptions.models import MOST_TOPICS, Consent, Subscriber
from subscriptions.topics import Topic

DAYS = [(str(number), name) for number, name in WEEKDAYS.items()]
LONGEST_PAUSE = timedelta(days=366)
PREFIX = "topic"
MOST_VOTES = 1_000_000
#: What may be pasted; more comes as a file.
LONGEST_TEXT = 500_000


class TopicRow(forms.Form):
    """One topic, as text."""

    name = forms.CharField(label=_("Name"), max_length=LONGEST_NAME, required=False)
    query = forms.CharField(
        label=_("Query"), max_length=2_000, widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"})
    )
    most = forms.IntegerField(label=_("Papers at most"), min_value=1, max_value=100, required=False)
    place = forms.IntegerField(label=_("Place"), min_value=0, max_value=999, required=False)
    muted = forms.BooleanField(required=False)

    def clean_query(self) -> str:
        return readable(self.cleaned_data["query"])


class TopicRows(BaseFormSet):  # type: ignore[type-arg]
    """All topics of a reader, in the order of their places."""

    def clean(self) -> None:
        if any(self.errors):
            return
        names = [topic.name.casefold() for topic in self.topics()]
        for name in names:
            if names.count(name) > 1:
                raise forms.ValidationError(
                    gettext("Two topics are called “%(name)s”. Names tell topics apart.") % {"name": name}
                )

    def topics(self) -> list[Topic]:
        rows = [form.cleaned_data for form in self.forms if form not in self.deleted_forms]
        kept = [row for row in rows if row.get("query")]
        kept.sort(key=lambda row: MOST_TOPICS if row.get("place") is None else row["place"])
        return [
            Topic(row["name"] or row["query"][:LONGEST_NAME], row["query"], row["muted"], row["most"] or 0)
            for row in kept
        ]


TopicSet = forms.formset_factory(
    TopicRow,
    formset=TopicRows,
    extra=0,
    can_delete=True,
    validate_max=True,
    max_num=MOST_TOPICS,
    absolute_max=MOST_TOPICS + 1,
)


def topic_set(topics: list[Topic]) -> Any:
    """The rows of these topics."""
    return TopicSet(
        initial=[
            {"name": topic.name, "query": topic.query, "most": topic.most or None, "place": place,
             "muted": topic.muted}
            for place, topic in enumerate(topics, start=1)
        ],
        prefix=PREFIX,
    )  # fmt: skip


def posted_topics(data: QueryDict) -> TopicRows:
    """The rows as they were sent."""
    rows = TopicSet(data, prefix=PREFIX)
    assert isinstance(rows, TopicRows)
    return rows


class Builder(forms.Form):
    """A topic for people who would rather not write the topic language."""

    name = forms.CharField(
        label=_("Name"), max_length=LONGEST_NAME, required=False, help_text=_("As it stands over its papers.")
    )
    every = forms.CharField(
        label=_("All of these words"),
        max_length=400,
        required=False,
        help_text=_('Phrases in quotation marks: "world model"'),
    )
    some = forms.CharField(label=_("At least one of these"), max_length=400, required=False)
    none = forms.CharField(label=_("None of these"), max_length=400, required=False)
    authors = forms.CharField(label=_("Authors"), max_length=400, required=False, help_text=_("With commas between."))
    categories = forms.CharField(label=_("arXiv categories"), max_length=200, required=False, help_text="cs.CL, cs.RO")
    about = forms.CharField(
        label=_("About, in your own words"),
        max_length=300,
        required=False,
        help_text=_("Finds papers close in meaning."),
    )
    votes = forms.IntegerField(label=_("Votes at least"), min_value=0, max_value=MOST_VOTES, required=False)
    has_code = forms.BooleanField(label=_("Only papers with code"), required=False)

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return values
        parts = {**values, "votes": values["votes"] or 0}
        name = parts.pop("name")
        query = builder.query(builder.Parts(**parts))
        if not query:
            raise forms.ValidationError(gettext("Fill in at least one field."))
        values["topic"] = Topic(name or query[:LONGEST_NAME], readable(query))
        return values


class Preferences(forms.ModelForm):  # type: ignore[type-arg]
    """When letters come, and what is in them."""

    time_zone = forms.TypedChoiceField(label=_("Time zone"), choices=[(zone, zone.replace("_", " ")) for zone in ZONES])
    cadence = forms.ChoiceField(label=_("How often"), choices=Subscriber.Cadence.choices)
    weekday = forms.TypedChoiceField(label=_("Day, if once a week"), coerce=int, choices=DAYS, required=False)
    days = forms.TypedMultipleChoiceField(
        label=_("Days, if on chosen days"),
        coerce=int,
        choices=DAYS,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    send_hour = forms.TypedChoiceField(
        label=_("Not before"), coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)]
    )
    min_votes = forms.IntegerField(
        label=_("Votes at least"),
        min_value=0,
        max_value=MOST_VOTES,
        required=False,
        help_text=_("Of papers in your topics; 0 takes all."),
    )

    language = forms.ChoiceField(label=_("Language of letters"), choices=settings.LANGUAGES, required=False)

    class Meta:
        model = Subscriber
        fields = [
            "cadence", "send_hour", "time_zone", "max_papers", "min_votes", "wants_trending", "wants_cross_lists",
            "wants_replacements", "wants_empty", "format", "language",
        ]  # fmt: skip
        labels = {"max_papers": _("Papers at most"), "format": _("Format")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        bits = self.instance.send_days
        self.initial["days"] = [number for number in range(7) if bits >> number & 1]
        self.initial["weekday"] = self.initial["days"][0] if self.initial["days"] else 0

    def clean_language(self) -> str:
        return str(self.cleaned_data["language"] or self.instance.language)

    def clean_min_votes(self) -> int:
        return self.cleaned_data["min_votes"] or 0

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("cadence") == Subscriber.Cadence.CHOSEN and not values.get("days"):
            self.add_error("days", gettext("Choose at least one day."))
        return values

    def values(self) -> dict[str, Any]:
        """The columns of Subscriber, once the form is valid."""
        found = dict(self.cleaned_data)
        days, weekday = found.pop("days"), found.pop("weekday")
        if found["cadence"] == Subscriber.Cadence.CHOSEN:
            found["send_days"] = sum(1 << day for day in set(days))
        elif found["cadence"] == Subscriber.Cadence.WEEKLY:
            found["send_days"] = 1 << (weekday or 0)
        return found


class Pause(forms.Form):
    until = forms.DateField(
        label=_("Letters start again on"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today

    def clean_until(self) -> date:
        until: date = self.cleaned_data["until"]
        if not self.today < until <= self.today + LONGEST_PAUSE:
            raise forms.ValidationError(gettext("Choose a day after today, within a year."))
        return until


class Import(forms.Form):
    """A list or a library, as a file or as text."""

    file = forms.FileField(label=_("A file"), required=False)
    text = forms.CharField(
        label=_("Or its text"),
        required=False,
        max_length=LONGEST_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if not values.get("file") and not (values.get("text") or "").strip():
            raise forms.ValidationError(gettext("Choose a file, or paste its text."))
        return values

    def content(self) -> bytes:
        file = self.cleaned_data.get("file")
        if file:
            return bytes(file.read(LARGEST + 1))
        return str(self.cleaned_data["text"]).encode("utf-8", "replace")


class Address(forms.Form):
    email = forms.EmailField(
        label=_("New e-mail address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )

    def clean_email(self) -> str:
        return mailable(self.cleaned_data["email"])


class Leave(forms.Form):
    """Why somebody leaves, if they like to say."""

    why = forms.ChoiceField(
        label=_("Why, if you like to say"), required=False, choices=[("", "–"), *Consent.Why.choices]
    )
    comment = forms.CharField(label=_("In your own words"), required=False, max_length=300)
