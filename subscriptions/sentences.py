"""Sentences for people, made where no language is known: in English, with all that it takes to say them in another.

`subscriptions.languages` says them in the reader's.
"""

from typing import Any, Self


class Sentence(str):
    """English text, filled in from a template with named values as `%` takes them; whole numbers get their commas."""

    __slots__ = ("template", "values")
    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> Self:
        made = super().__new__(cls, template % {name: _shown(value) for name, value in values.items()})
        made.template, made.values = template, values
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.template,), self.values


def _shown(value: Any) -> Any:
    return f"{value:,}" if isinstance(value, int) else value
