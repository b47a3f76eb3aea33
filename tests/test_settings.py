import os
import re
import subprocess
import sys
from ast import literal_eval
from email.utils import parseaddr
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "SYSTEMROOT"}}


def start(tmp_path, **environment):
    """Import the settings in a process of its own, as any start does."""
    own = {"DIGEST_DATA_DIR": str(tmp_path), "DIGEST_ENV_FILE": os.devnull}
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from digest.config import settings as s; print(s.DEBUG, s.EMAIL_BACKEND, s.EMAIL_PORT)",
        ],
        cwd=ROOT,
        env=ENVIRONMENT | own | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DEBUG": "0"}, "SECRET_KEY is not set and DEBUG is off"),
        ({"DATABASE_URL": "postgres://u@h/d"}, "SECRET_KEY is not set and DEBUG is off"),
        ({"DEBUG": "perhaps"}, "DEBUG cannot be read"),
        ({"EMAIL_URL": "postmark:", "DEBUG": "1"}, "needs POSTMARK_SERVER_TOKEN"),
        ({"EMAIL_URL": "mailjet:", "DEBUG": "1"}, "needs MAILJET_API_KEY and MAILJET_SECRET_KEY"),
        ({"EMAIL_URL": "pigeon:", "DEBUG": "1"}, "Known are outbox:, smtp://"),
        ({"EMAIL_URL": "smtp:", "DEBUG": "1"}, "needs a host"),
        ({"EMAIL_URL": "smtp://mail:port", "DEBUG": "1"}, "port that is no number"),
        ({"DIGEST_BASE_URL": "papers.example.org"}, "must be like https://"),
        ({"DIGEST_TODAY": "2026-06-02", "SECRET_KEY": "x" * 50, "DEBUG": "0"}, "DIGEST_TODAY is for replays"),
        ({"DIGEST_TODAY": "tomorrow"}, "DIGEST_TODAY cannot be read"),
        ({"DIGEST_TIME_ZONE": "Mars/Olympus"}, "must name a zone"),
        ({"DIGEST_ARXIV_HOLIDAYS": "xmas"}, "takes days like"),
        ({"DIGEST_EDITION_DAYS": "9", "DIGEST_REFRESH_DAYS": "3"}, "at most DIGEST_REFRESH_DAYS"),
        ({"DIGEST_FEEDBACK_SENDER": "x"}, "5 to 15 characters"),
        ({"DIGEST_NAME": "Papers\nBcc: all@example.org"}, "must be one line"),
        ({"DATABASE_URL": "nonsense", "DEBUG": "1"}, "DATABASE_URL cannot be read"),
        ({"PORT": "http"}, "PORT cannot be read"),
        ({"DIGEST_LOG_LEVEL": "loud"}, "DIGEST_LOG_LEVEL must be one of"),
    ],
)
def test_a_wrong_combination_stops_the_start_with_one_line(tmp_path, environment, words):
    done = start(tmp_path, **environment)

    assert done.returncode == 1
    assert done.stderr.startswith("paperboy: ")
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "True subscriptions.outbox.EmailBackend 25"),
        ({"SECRET_KEY": "x" * 50}, "False subscriptions.outbox.EmailBackend 25"),
        ({"EMAIL_URL": "smtp://mail:1025", "DEBUG": "1"}, "True subscriptions.smtp.EmailBackend 1025"),
        ({"EMAIL_URL": "smtp://u:p%40@mail", "DEBUG": "1"}, "True subscriptions.smtp.EmailBackend 587"),
        ({"EMAIL_URL": "smtps://mail", "DEBUG": "1"}, "True subscriptions.smtp.EmailBackend 465"),
        ({"EMAIL_URL": "amazon-ses:", "DEBUG": "1"}, "True anymail.backends.amazon_ses.EmailBackend 25"),
        (
            {"EMAIL_URL": "postmark:", "POSTMARK_SERVER_TOKEN": "t", "SECRET_KEY": "x" * 50},
            "False anymail.backends.postmark.EmailBackend 25",
        ),
    ],
)
def test_the_environment_alone_chooses_how_it_runs(tmp_path, environment, said):
    assert start(tmp_path, **environment).stdout.strip() == said


@pytest.mark.parametrize("name", ["Paperboy", "Smith, Doe & Co.", 'The "Daily"', "Käse: täglich", "a <b@example.org>"])
def test_the_default_sender_is_one_address_whatever_the_name(tmp_path, name):
    code = "from digest.config import settings as s; print(ascii(s.DIGEST_FROM))"
    own = {"DIGEST_DATA_DIR": str(tmp_path), "DIGEST_ENV_FILE": os.devnull, "DIGEST_NAME": name}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=ENVIRONMENT | own, check=True, capture_output=True
    )

    assert parseaddr(literal_eval(done.stdout.decode())) == (name, "digest@127.0.0.1")


def test_a_secret_may_stand_in_a_file(tmp_path):
    (tmp_path / "key").write_text("y" * 50)

    assert start(tmp_path, SECRET_KEY_FILE=str(tmp_path / "key")).stdout.startswith("False")


def test_the_env_file_is_read_and_the_environment_wins(tmp_path):
    (tmp_path / "env").write_text("EMAIL_URL=smtp://mail:1\nDEBUG=1\n")

    assert start(tmp_path, DIGEST_ENV_FILE=str(tmp_path / "env")).stdout.endswith("smtp.EmailBackend 1\n")
    done = start(tmp_path, DIGEST_ENV_FILE=str(tmp_path / "env"), EMAIL_URL="smtp://mail:2")
    assert done.stdout.endswith("smtp.EmailBackend 2\n")


def test_links_outlive_a_restart_without_a_key_of_ones_own(tmp_path):
    start(tmp_path)
    key = (tmp_path / "secret-key").read_text()
    start(tmp_path)

    assert len(key) >= 50
    assert (tmp_path / "secret-key").read_text() == key


def test_the_readmes_table_and_the_settings_are_the_same():
    source = (ROOT / "digest/config/settings.py").read_text()
    read = set(re.findall(r'read\(\s*"\w+",\s*"([A-Z_]+)"', source)) | {"DIGEST_ENV_FILE"}
    section = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE))

    assert told == read


def test_the_compose_file_is_valid(tmp_path):
    from shutil import which

    command = which("docker-compose")
    if command is None:
        pytest.skip("docker-compose is not installed")
    done = subprocess.run(
        [command, "-f", str(ROOT / "docker-compose.yml"), "config", "-q"],
        env=ENVIRONMENT | {"SECRET_KEY": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_lock_files_name_no_host():
    for file in [*ROOT.glob("*.lock"), *ROOT.glob("tests/clients/*.txt")]:
        assert not re.search(r"https?://|file:|--(index|find|extra)", file.read_text())


@pytest.mark.parametrize(
    "start",
    "u confirm manage account move-from move-to link letters letters/mine feeds/mine feedback taste".split(),
)
def test_no_log_holds_a_token(start):
    import logging

    from digest.config.logs import HideTokens

    record = logging.LogRecord("x", logging.WARNING, "", 0, "Not Found: %s", (f"/{start}/1.6a1e8d80.xLQDRRHc",), None)

    HideTokens().filter(record)

    assert record.getMessage() == f"Not Found: /{start}/…"


def test_static_files_of_a_public_site_are_kept_for_ever_and_come_compressed(settings, tmp_path, rf, db):
    from django.core.files.storage import storages
    from django.core.management import call_command
    from django.templatetags.static import static
    from django.utils.module_loading import import_string

    settings.STATIC_ROOT = str(tmp_path)
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = False
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    }
    call_command("collectstatic", verbosity=0, interactive=False)
    address = static("digest/style.css")
    headers = {"Accept-Encoding": "gzip"}
    middleware = import_string("whitenoise.middleware.WhiteNoiseMiddleware")(lambda request: None)
    answer = middleware(rf.get(address, headers=headers))
    answer.close()

    assert re.fullmatch(r"/static/digest/style\.[0-9a-f]{12}\.css", address)
    assert answer["Cache-Control"] == "max-age=315360000, public, immutable"
    assert answer["Content-Encoding"] == "gzip"
    assert storages["staticfiles"].exists(address.removeprefix("/static/"))


def test_every_answer_tells_browsers_what_it_may_not_do(client, db):
    for path in ("/", "/nothing", "/health/ready", "/admin/login/"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert "unsafe" not in headers["Content-Security-Policy"]


def test_browsers_find_an_icon(client):
    assert client.get("/favicon.ico")["Location"] == "/static/digest/icon.svg"
