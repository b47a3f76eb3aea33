"""What was wrong with a request, as JSON that Hugging Face's clients read too.

Never `X-Error-Code`: its values would make those clients speak of repositories.
"""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI, Schema
from ninja.errors import ValidationError
from pydantic import Field

from subscriptions.query import QueryError


class Refused(Exception):
    """A request that cannot be answered: `error` names what is wrong, `message` says what to do."""

    def __init__(self, message: str, *, status: int = HTTPStatus.BAD_REQUEST, error: str = "") -> None:
        super().__init__(message)
        self.message, self.status, self.error = message, status, error or message


class Error(Schema):
    """What was wrong."""

    error: str = Field(description="What is wrong.")
    message: str = Field(description="What to do instead.")


class QueryRefused(Error):
    """What was wrong with a query, and where."""

    position: int | None = Field(None, description="The first character that is wrong, from 0.")
    length: int | None = Field(None, description="How many characters are.")
    suggestion: str | None = Field(None, description="A query to try instead; empty where none suggests itself.")


def answer(status: int, message: str, *, error: str = "", **more: Any) -> HttpResponse:
    response = JsonResponse({"error": error or message, "message": message, **more}, status=status)
    response["X-Error-Message"] = " ".join(message.encode("ascii", "replace").decode().split())[:500]
    return response


def not_found(what: str) -> Refused:
    return Refused(what, status=HTTPStatus.NOT_FOUND)


def of_query(error: QueryError) -> dict[str, Any]:
    return {"position": error.position, "length": error.length, "suggestion": error.suggestion}


def install(api: NinjaAPI) -> None:
    """Have an API answer so; what nobody foresaw is Django's to report."""

    @api.exception_handler(Refused)
    def refused(request: HttpRequest, refusal: Refused) -> HttpResponse:
        return answer(refusal.status, refusal.message, error=refusal.error)

    @api.exception_handler(QueryError)
    def query_refused(request: HttpRequest, error: QueryError) -> HttpResponse:
        return answer(HTTPStatus.BAD_REQUEST, error.message, **of_query(error))

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, found: ValidationError) -> HttpResponse:
        first = found.errors[0]
        said = str(first["msg"])
        return answer(HTTPStatus.BAD_REQUEST, f"{first['loc'][-1]}: {said[:1].lower()}{said[1:]}.")

    @api.exception_handler(Exception)
    def unforeseen(request: HttpRequest, error: Exception) -> HttpResponse:
        raise error
