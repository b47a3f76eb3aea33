"""Hugging Face's released clients, each in a process of its own, against a running server."""

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.handlers.base import BaseHandler

from digest.models import Listing
from tests import make
from tests.make import DAY

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
VENV = ROOT / ".venv"
#: Released versions beside the one that is installed; `make test` puts them there.
VERSIONS = {"0.26": VENV / "hub-0.26", "1.2": VENV / "hub-1.2", "newest": None}


class Site:
    """A running server, and what it answered."""

    def __init__(self, url, home):
        self.url, self.home, self.answers = url, home, []

    @property
    def environment(self):
        """As a user has it who once logged in elsewhere."""
        (self.home / "token").write_text("hf_bogus")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "HF_HOME": str(self.home),
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_COLOR": "1",
        }

    def ask(self, version, *calls):
        """What came of each call, by the client of a version."""
        folder = VERSIONS[version]
        if folder and not folder.is_dir():
            pytest.fail(f"{folder} is not installed: `make test` does it")
        done = subprocess.run(
            [sys.executable, str(HERE / "ask.py")],
            input=json.dumps(calls),
            env=self.environment | ({"PYTHONPATH": str(folder)} if folder else {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert not folder or told["version"].startswith(f"{version}."), told["version"]
        return told["results"]

    def hf(self, *arguments):
        """The `hf` command of the newest version."""
        command = shutil.which("hf", path=str(Path(sys.executable).parent)) or "hf"
        return subprocess.run(
            [command, "papers", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def site(live_server, settings, tmp_path, monkeypatch):
    """Four days with papers of which everything or little is known."""
    settings.DIGEST_TODAY, settings.DIGEST_BASE_URL = DAY, live_server.url
    fill()
    site = Site(live_server.url, tmp_path)
    get_response = BaseHandler.get_response

    def watched(handler, request):
        response = get_response(handler, request)
        site.answers.append((request.get_full_path(), response))
        return response

    monkeypatch.setattr(BaseHandler, "get_response", watched)
    yield site
    assert site.answers
    assert not [path for path, response in site.answers if 300 <= response.status_code < 400 or response.cookies]
    assert not [path for path, response in site.answers if "X-Error-Code" in response or response.status_code >= 500]


def fill():
    for back in range(4):
        day = DAY - timedelta(days=back)
        papers = [
            make.paper(f"Widgets, day {back}, number {number}", day=day, votes=number, **(KNOWN if number % 2 else {}))
            for number in range(6)
        ]
        for paper in papers[1::2]:
            Listing.objects.filter(paper=paper).update(submitter={"name": "ada", "fullname": "Ada Example"})
        make.edition(papers, day=day)
    make.paper("Never featured", identifier="2606.95555", votes=0)


KNOWN = {
    "title_tex": "Widgets $w$",
    "abstract_tex": "We count $w<v$.",
    "authors": [{"name": "Ada Example", "hidden": False, "user": {"name": "ada"}}, {"name": "Ben É", "hidden": False}],
    "organization": {"name": "lab", "fullname": "A lab", "avatar_url": "https://a.example/lab.png"},
    "ai_summary": "Counts.",
    "keywords": ["widgets"],
    "code_url": "https://github.com/example/widgets",
    "project_url": "https://widgets.example/",
    "stars": 0,
    "comments": 4,
}
