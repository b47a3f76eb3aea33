"""Run the tests on embedded services, then on PostgreSQL and Redis where these answer: `python -m tests.everywhere`.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` name them; by default those of this machine are tried.
"""

import os
import subprocess
import sys

import psycopg
import redis

DATABASE = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/13")


def answers() -> bool:
    try:
        psycopg.connect(DATABASE, connect_timeout=3).close()
        with redis.Redis.from_url(REDIS, socket_connect_timeout=3) as client:
            client.ping()
    except (psycopg.Error, redis.RedisError, OSError) as error:
        print(f"== Not tested on PostgreSQL and Redis: {error}".strip(), flush=True)
        return False
    return True


def run(title: str, arguments: list[str], **environment: str) -> None:
    print(f"== Tests on {title}", flush=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEST_")}
    code = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments], env=kept | environment, check=False
    ).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    workers = ["-n", str(min(4, os.cpu_count() or 1)), *sys.argv[1:]]
    run("SQLite and the embedded broker", workers)
    if answers():
        # What touches neither database nor broker gives the same answer again.
        services = {"TEST_DATABASE_URL": DATABASE, "TEST_REDIS_URL": REDIS}
        run("PostgreSQL and Redis", [*workers, "-m", "django_db or services"], **services)
