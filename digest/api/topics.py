"""Our own paths for the topic language."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router, Schema
from pydantic import Field

from digest.api import errors, hub
from digest.api import own_shapes as shapes
from subscriptions.query import parse

router = Router(tags=["Paperboy's own"])
REFUSED = {**hub.REFUSED, 400: errors.QueryRefused}


class Asked(Schema):
    q: str = Field(description="A query of the topic language.", examples=["robot* video -survey"])


@router.api_operation(hub.READ, "/api/v1/topics/parse", response={**REFUSED, 200: shapes.Parsed})
def understand(request: HttpRequest, asked: Query[Asked]) -> HttpResponse:
    """Whether a query of the topic language can be read; 400 says where it cannot, and what was probably meant."""
    return JsonResponse({"query": str(parse(asked.q))})
