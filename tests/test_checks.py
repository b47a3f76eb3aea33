import shutil
import socket
import subprocess
import time

import pytest
import redis
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from digest.config import checks


@pytest.fixture
def own_redis(tmp_path):
    """A Redis of the test's own, to be set as badly as it likes."""
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("redis-server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [command, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    client = redis.Redis(port=port)
    try:
        for _ in range(100):
            try:
                client.ping()
                break
            except redis.RedisError:
                time.sleep(0.05)
        yield client, f"redis://127.0.0.1:{port}/0"
    finally:
        client.close()
        process.terminate()
        process.wait()


@pytest.mark.parametrize(("policy", "errors"), [("noeviction", []), ("allkeys-lru", ["paperboy.E001"])])
def test_a_redis_that_evicts_keys_is_refused(settings, own_redis, policy, errors):
    client, settings.REDIS_URL = own_redis
    client.config_set("maxmemory-policy", policy)

    assert [found.id for found in checks.redis_keeps_its_keys()] == errors
    if errors:
        with pytest.raises(SystemCheckError, match="evicts keys"):
            call_command("check")


def test_a_redis_that_does_not_answer_is_told_and_waited_for(settings):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        settings.REDIS_URL = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"

    assert [found.id for found in checks.redis_keeps_its_keys()] == ["paperboy.W001"]


def test_an_esp_whose_package_is_missing_is_told(settings):
    settings.EMAIL_BACKEND = "anymail.backends.of_nobody.EmailBackend"

    assert [found.id for found in checks.mail_can_leave()] == ["paperboy.E002"]


def test_the_deployment_checks_of_django_find_nothing(tmp_path):
    import os
    import sys

    from tests.test_settings import ENVIRONMENT, ROOT

    environment = ENVIRONMENT | {
        "DIGEST_DATA_DIR": str(tmp_path),
        "DIGEST_ENV_FILE": os.devnull,
        "DIGEST_BASE_URL": "https://papers.example.org",
        "DIGEST_BEHIND_PROXY": "1",
        "SECRET_KEY": "".join(chr(33 + n % 90) for n in range(60)),
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "ERROR"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0
    told = {line.split(")")[0] for line in done.stderr.splitlines() if line.startswith("?: (")}
    # HSTS for subdomains and preloading reach beyond this site: that is the operator's to decide.
    assert told <= {"?: (security.W005", "?: (security.W021"}, done.stderr


def test_staff_without_a_second_factor_is_told_at_deployment(settings):
    settings.DEBUG, settings.DIGEST_STAFF_TWO_FACTOR = False, False

    assert [found.id for found in checks.staff_show_two_factors()] == ["paperboy.W003"]
    settings.DIGEST_STAFF_TWO_FACTOR = True
    assert checks.staff_show_two_factors() == []
