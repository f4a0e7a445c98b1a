"""One JSON request to a service, within a deadline that holds for all of it: connecting, waiting, retrying and reading.

Busy answers (429, 502, 503, 504) and connections that fail are tried again, after what `Retry-After` says or a growing pause, while there
is time; what the service says no to is not.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from vicino.env import Env
from vicino.errors import InvalidArgument, ServiceError, TimeoutError

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5
_BUSY = {429, 502, 503, 504}
_ANSWER_BYTES_MAX = 64 << 20
_CHUNK_BYTES = 1 << 16
_SHOWN = 300  # characters of an answer that an error shows
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. title: what the service is called in errors."""

    url: str
    key: str | None = field(repr=False)
    title: str


class _Busy(Exception):
    """Worth another try; retry_after_s: what the service asks to wait, None if it does not say."""

    def __init__(self, message: str, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after_s = status, retry_after_s


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirection would take the key along to another address."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def check_url(url: str, key: str | None) -> str:
    """The address, if it is one. Raises InvalidArgument; also for a key that would travel unencrypted over a network."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
        raise InvalidArgument(f"the address of a service is like https://host/path, without a user, got {parts.scheme}://{parts.hostname}")
    if key is not None and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InvalidArgument(f"a key is sent over https only, or to this machine itself; the address begins with http://{parts.hostname}")
    return url


def post_json(endpoint: Endpoint, request: Any, *, deadline: float, env: Env) -> Any:
    """The answer as JSON. deadline: on `env.monotonic()`. Raises ServiceError, TimeoutError at the deadline."""
    body, pause = json.dumps(request).encode(), _FIRST_PAUSE_S
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _once(endpoint, body, deadline, env)
        except _Busy as busy:
            wait = pause if busy.retry_after_s is None else busy.retry_after_s
            if attempt == _ATTEMPTS:
                message = f"{endpoint.title} at {endpoint.url} {busy}, in each of {attempt} tries; try again later"
                raise ServiceError(message, status=busy.status) from busy
            if env.monotonic() + wait >= deadline:
                raise TimeoutError(
                    f"{endpoint.title} at {endpoint.url} {busy}; another try waits {wait:g} s, longer than the time left"
                ) from busy
            env.sleep(wait)
            pause *= 2
    raise AssertionError("the last try either answers or raises")


def _once(endpoint: Endpoint, body: bytes, deadline: float, env: Env) -> Any:
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "vicino"}
    if endpoint.key is not None:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    request = urllib.request.Request(endpoint.url, body, headers, method="POST")
    try:
        with _opener.open(request, timeout=_left(endpoint, deadline, env)) as response:
            content = _read(endpoint, response, deadline, env)
    except urllib.error.HTTPError as error:
        told = _told(endpoint, error)
        message = f"answered {error.code}{f': {told}' if told else ''}"
        if error.code in _BUSY:
            raise _Busy(message, error.code, _retry_after(error.headers, env)) from error
        raise ServiceError(f"{endpoint.title} at {endpoint.url} {message}{_advice(error.code)}", status=error.code) from None
    except (ServiceError, TimeoutError):
        raise
    except (OSError, http.client.HTTPException) as error:
        _left(endpoint, deadline, env)  # raises when it was waited for until the deadline: there is no time for another try
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise _Busy(f"cannot be reached ({_clean(endpoint, reason.encode())})") from error
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ServiceError(f"{endpoint.title} at {endpoint.url} gave no JSON: {_clean(endpoint, content)}") from error


def _told(endpoint: Endpoint, error: urllib.error.HTTPError) -> str:
    """The beginning of what a service says to its refusal."""
    with error:
        try:
            return _clean(endpoint, error.read(_SHOWN))
        except (OSError, http.client.HTTPException):
            return ""


def _read(endpoint: Endpoint, response: Any, deadline: float, env: Env) -> bytes:
    """All of an answer. In pieces: a service that sends a byte now and then would never meet the timeout of one read."""
    content = bytearray()
    while chunk := response.read1(_CHUNK_BYTES):
        content += chunk
        if len(content) > _ANSWER_BYTES_MAX:
            raise ServiceError(f"{endpoint.title} at {endpoint.url} gave more than {_ANSWER_BYTES_MAX} bytes, which is no list of scores")
        _left(endpoint, deadline, env)
    return bytes(content)


def _left(endpoint: Endpoint, deadline: float, env: Env) -> float:
    """Seconds until the deadline. Raises TimeoutError when it has passed."""
    left = deadline - env.monotonic()
    if left <= 0:
        raise TimeoutError(f"{endpoint.title} at {endpoint.url} did not answer in time; allow more or rerank less")
    return left


def _retry_after(headers: Message, env: Env) -> float | None:
    """What `Retry-After` says, as seconds from now; it is a number of them or a date."""
    given = (headers.get("Retry-After") or "").strip()
    if given.isascii() and given.isdigit():
        return float(given)
    try:
        at = email.utils.parsedate_to_datetime(given)
    except (TypeError, ValueError):
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=dt.UTC)).timestamp() - env.now())


def _clean(endpoint: Endpoint, content: bytes) -> str:
    """What a service said, on one line, cut, and without the key, which some repeat."""
    text = content.decode(errors="replace")
    if endpoint.key:
        text = text.replace(endpoint.key, "…")
    return " ".join(text.split())[:_SHOWN]


def _advice(status: int) -> str:
    match status:
        case 401 | 403:
            return "; check the key and what its account may use"
        case 404:
            return "; check the name of the model and the address"
        case 301 | 302 | 303 | 307 | 308:
            return "; redirections are not followed, give the address it leads to as url="
    return ""
