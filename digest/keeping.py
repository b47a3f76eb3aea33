"""Pages that are the same for everybody, and may be kept.

A view says so itself, so that nothing private is ever kept by accident. Keeping is the affair of `digest.config.pages`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

#: Where a request's environ says for how many seconds its answer may be kept.
KEY = "digest.keep"
View = Callable[..., HttpResponse]


def kept(seconds: int = 600) -> Callable[[View], View]:
    """Let answers of this view that are 200 be kept, and given to everybody who asks for the same address.

    Only for views that look at nothing of who asks: no session, no token, no form that must be protected. A change of
    papers or editions (`digest.stamps`) or of the day ends it at once, whatever changes without these after `seconds`.
    Browsers and proxies may keep it too but ask each time, unless the view says otherwise in Cache-Control.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response = view(request, *args, **kwargs)
            if response.status_code == 200:
                request.META[KEY] = seconds
                if not response.has_header("Cache-Control"):
                    patch_cache_control(response, public=True, no_cache=True)
            return response

        return wrapped

    return decorate
