"""Loaded before Django's settings: tests have an environment of their own, whatever the developer's is.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` choose the services; without them everything is embedded.
"""

import os
import tempfile
from pathlib import Path

OWN = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SECRET_KEY", "DEBUG", "PORT", "ALLOWED_HOSTS")

for name in list(os.environ):
    if name in OWN or name.startswith("DIGEST_"):
        del os.environ[name]

folder = Path(tempfile.mkdtemp(prefix="paperboy-tests-"))
os.environ |= {
    "DIGEST_DATA_DIR": str(folder),
    "DIGEST_ENV_FILE": os.devnull,
    "DIGEST_BASE_URL": "http://papers.example.org",
    "DIGEST_ARXIV_CATEGORIES": "cs.AI,cs.CL,cs.CV",
    "SECRET_KEY": "tests only, 50 characters and more, nothing depends on it",
    "DEBUG": "1",
}
for service in ("DATABASE_URL", "REDIS_URL"):
    if value := os.environ.get(f"TEST_{service}"):
        os.environ[service] = value
