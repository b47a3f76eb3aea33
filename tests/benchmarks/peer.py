"""django-post_office sending COUNT letters of SIZE bytes to a port, as its documentation shows it: queue, then send."""

import json
import sys
import time

import django
from django.conf import settings

port, size, count = map(int, sys.argv[1:])
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "post_office"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    EMAIL_BACKEND="post_office.EmailBackend",
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT=port,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    POST_OFFICE={"BATCH_SIZE": 10_000, "THREADS_PER_PROCESS": 4},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True},
               {"BACKEND": "post_office.template.backends.post_office.PostOfficeTemplates", "APP_DIRS": True}],
)  # fmt: skip
django.setup()
from django.core.management import call_command  # noqa: E402
from post_office import mail  # type: ignore[import-not-found]  # noqa: E402

call_command("migrate", verbosity=0)
body = ("<p>Seven papers, and why.</p>\n" * (size // 30))[: int(size * 0.7)]
text = ("Seven papers, and why.\n" * (size // 20))[: int(size * 0.25)]
start, cpu = time.perf_counter(), time.process_time()
for number in range(count):
    mail.send(f"reader{number}@example.net", "digest@example.org", subject="Papers", message=text, html_message=body)
mail.send_queued(processes=1)
print(json.dumps([time.perf_counter() - start, (time.process_time() - cpu) / count * 1000]))
