"""Run by a released client's own Python path: calls from standard input, what came of them to standard output.

A call is [method, arguments]; what comes of it is {"papers": […]}, {"text": …} or {"error": class, status, message}.
"""

import dataclasses
import json
import sys
from datetime import datetime

import huggingface_hub
from huggingface_hub import HfApi

FIELDS = ("id", "title", "summary", "upvotes", "comments", "published_at", "submitted_at", "ai_summary", "ai_keywords",
          "project_page", "github_repo", "github_stars", "discussion_id", "linked_models", "linked_spaces")  # fmt: skip


def plain(value):
    if isinstance(value, datetime):
        return value.isoformat()
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


def shown(paper):
    found = {name: plain(getattr(paper, name, "no such field")) for name in FIELDS}
    found["authors"] = [getattr(author, "name", author) for author in paper.authors or []]
    found["submitter"] = getattr(paper.submitted_by, "username", None) if hasattr(paper, "submitted_by") else None
    organization = getattr(paper, "organization", None)
    found["avatar"] = getattr(organization, "avatar_url", None)
    return found


def call(method, arguments):
    try:
        found = getattr(HfApi(), method)(**arguments)
        if isinstance(found, str):
            return {"text": found}
        return {"papers": [shown(paper) for paper in ([found] if hasattr(found, "upvotes") else found)]}
    except Exception as error:  # noqa: BLE001 - whatever a user would see
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        return {"error": type(error).__name__, "status": status, "message": str(error)}


if __name__ == "__main__":
    results = [call(method, arguments) for method, arguments in json.load(sys.stdin)]
    json.dump({"version": huggingface_hub.__version__, "results": results}, sys.stdout)
