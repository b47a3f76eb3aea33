"""What is said to people, in the language that is active."""

from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext

from subscriptions.sentences import Sentence


def translated(text: str) -> str:
    """A Sentence in the active language; any other text as it is."""
    if not isinstance(text, Sentence):
        return text
    return gettext(text.template) % {name: _shown(value) for name, value in text.values.items()}


def number(value: int) -> str:
    """A whole number with what parts its thousands in the active language."""
    return str(number_format(value, force_grouping=True))


def _shown(value: Any) -> Any:
    return number(value) if isinstance(value, int) else translated(value) if isinstance(value, str) else value
