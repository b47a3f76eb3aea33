"""The sentences of pages and letters, gathered for those who translate them: `make messages`.

Django's own tool needs GNU gettext; Babel reads and writes the same files, and is installed with the tests.
"""

import io
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).parent.parent
LOCALE = ROOT / "digest" / "config" / "locale"
KEYWORDS = {
    "_": None, "Sentence": None, "gettext": None, "gettext_lazy": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2),
}  # fmt: skip
WIDTH = 118
HEADER = """\
msgid ""
msgstr ""
"Language: {}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {}\\n"

"""


def sources():
    """(path, source as Python) of everything that may say something to readers."""
    for folder in ("digest", "subscriptions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, path.read_text()
    for path in sorted((ROOT / "templates").rglob("*.*")):
        if "admin" not in path.parts:
            # What is left of a template has no indentation that Python would understand.
            yield path, re.sub(r"^[ \t]+", "", templatize(path.read_text()), flags=re.MULTILINE)


def gathered():
    """A catalogue of all sentences, without translations."""
    catalog = Catalog(project="Paperboy", fuzzy=False)
    for path, text in sources():
        code = io.BytesIO(text.encode())
        for _, message, comments, context in extract("python", code, KEYWORDS, options={"encoding": "utf-8"}):
            name = path.relative_to(ROOT).as_posix()
            catalog.add(message, locations=[(name, None)], auto_comments=comments, context=context)
    return catalog


def path_of(language):
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def catalog_of(language):
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language)


def as_po(catalog):
    file = io.BytesIO()
    write_po(file, catalog, width=WIDTH, sort_by_file=True, include_lineno=False, omit_header=True)
    return HEADER.format(catalog.locale, catalog.plural_forms).encode() + file.getvalue()


def as_mo(catalog):
    """What Django reads, the same whenever it is made."""
    catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def untranslated(catalog):
    """Sentences without a translation, or with one that somebody has to look at."""
    return [message.id for message in catalog if message.id and (message.fuzzy or not all(_strings(message)))]


def _strings(message):
    return message.string if isinstance(message.string, tuple) else [message.string]


def main():
    """Bring every language's file up to date, and compile it."""
    found = gathered()
    for path in sorted(LOCALE.glob("*/LC_MESSAGES/django.po")):
        language = path.parent.parent.name
        catalog = catalog_of(language)
        catalog.update(found, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        path.write_bytes(as_po(catalog))
        path.with_suffix(".mo").write_bytes(as_mo(catalog))
        missing = untranslated(catalog)
        print(f"{language}: {len(catalog)} sentences, {len(missing)} to translate")
        for message in missing:
            print("  ", message)


if __name__ == "__main__":
    sys.exit(main())
