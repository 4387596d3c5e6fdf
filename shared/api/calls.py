"""How one call goes over HTTP: what is sent twice, how long it waits, and what an error becomes.

A call that changes nothing is repeated when the server is busy (429, 503) or the connection breaks.
A call that changes something is repeated only when the connection could not be opened at all, since
then nothing was sent. Waits double from one attempt to the next and give way to ``Retry-After``
(RFC 9110, section 10.2.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import ValidationError

from shared.api.shapes import Problem, Shape
from shared.errors import TriptychError

S = TypeVar("S", bound=Shape)

BUSY = (429, 503)
OPENING_FAILED = (httpx2.ConnectError, httpx2.ConnectTimeout)


class ApiError(TriptychError):
    """The API answered with an error, or not at all.

    ``status`` is the HTTP status, or None when no answer came; ``problem`` is what the API said.
    """

    def __init__(self, problem: Problem, *, status: int | None, request: str) -> None:
        super().__init__(problem.message, **problem.details)
        self.problem = problem
        self.status = status
        self.request = request

    @property
    def unreachable(self) -> bool:
        """Whether no answer came at all."""
        return self.status is None


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is tried in all, and how long it waits in between (seconds).

    A ``Retry-After`` longer than ``longest_wait`` is not waited for: the error is raised at once.
    """

    attempts: int = 3
    first_wait: float = 0.25
    longest_wait: float = 10.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("a call is tried at least once")

    def wait(self, attempt: int, asked: float | None, jitter: float) -> float | None:
        """Seconds to wait after the attempt of that number (from 0), or None to give up.

        ``asked`` is what the server asked for; ``jitter`` in [0, 1) spreads out the callers.
        """
        if attempt + 1 >= self.attempts or (asked is not None and asked > self.longest_wait):
            return None
        doubled = min(self.longest_wait, self.first_wait * 2.0**attempt) * (0.5 + jitter / 2)
        return doubled if asked is None else max(asked, doubled)


class Calls:
    """Sends requests to one API and reads its answers; safe to share between threads."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        timeout: float,
        slow_timeout: float,
        retries: Retries,
        transport: httpx2.BaseTransport | None,
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
    ) -> None:
        self.url = url
        self._quick = httpx2.Timeout(timeout, connect=min(timeout, 5.0))
        self._slow = httpx2.Timeout(slow_timeout, connect=min(timeout, 5.0))
        self._retries = retries
        self._sleep = sleep
        self._jitter = jitter
        self._http = httpx2.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=self._quick,
            transport=transport,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, shape: type[S], **query: str | int | None) -> S:
        """Ask for a shape; a parameter that is None is left out."""
        params = {name: value for name, value in query.items() if value is not None}
        return self.read(self.send("GET", path, repeat=True, params=params), shape)

    def post(
        self,
        path: str,
        body: Shape,
        shape: type[S],
        *,
        repeat: bool = False,
        slow: bool = False,
    ) -> S:
        """Send a body and read a shape; ``slow`` gives the server time to train or to score."""
        sent = body.model_dump(mode="json")
        answer = self.send("POST", path, repeat=repeat, slow=slow, json=sent)
        return self.read(answer, shape)

    def send(
        self,
        method: str,
        path: str,
        *,
        repeat: bool,
        slow: bool = False,
        attempts: int | None = None,
        **content: Any,
    ) -> httpx2.Response:
        """The first answer that is no error; ``repeat`` says whether sending twice is harmless."""
        timeout = self._slow if slow else self._quick
        attempt = 0
        while True:
            asked: float | None = None
            try:
                answer = self._http.request(method, path, timeout=timeout, **content)
                if answer.is_success:
                    return answer
                error = _error_of(answer)
                may_repeat = repeat and answer.status_code in BUSY
                asked = _retry_after(answer.headers)
            except httpx2.RequestError as broken:
                error = _unreachable(self.url, f"{method} {path}", broken)
                may_repeat = repeat or isinstance(broken, OPENING_FAILED)
            wait = self._retries.wait(attempt, asked, self._jitter()) if may_repeat else None
            if wait is None or attempts == attempt + 1:
                raise error
            self._sleep(wait)
            attempt += 1

    def read(self, answer: httpx2.Response, shape: type[S]) -> S:
        """The body as a shape; fields that a newer server adds are passed over."""
        try:
            return shape.model_validate_json(answer.content, extra="ignore")
        except ValidationError as error:
            request = f"{answer.request.method} {answer.request.url.path}"
            problem = Problem(
                error="unexpected_answer",
                message=f"{request} answered something other than a {shape.__name__}: is "
                f"{self.url} a Triptych API of this version?",
            )
            raise ApiError(problem, status=answer.status_code, request=request) from error


def made(shape: type[S], **fields: Any) -> S:
    """A request's body, refused here in the same words as the API would refuse it."""
    try:
        return shape(**fields)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        problem = Problem(error="invalid_request", message="; ".join(faults))
        raise ApiError(problem, status=422, request=shape.__name__) from error


def path_of(*parts: str) -> str:
    """A path of these parts, each one quoted."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _error_of(answer: httpx2.Response) -> ApiError:
    """The problem that the API states, or one made of the bare status."""
    request = f"{answer.request.method} {answer.request.url.path}"
    try:
        problem = Problem.model_validate_json(answer.content, extra="ignore")
    except ValidationError:
        problem = Problem(
            error=f"http_{answer.status_code}",
            message=f"{request} answered {answer.status_code} {answer.reason_phrase}".rstrip(),
        )
    return ApiError(problem, status=answer.status_code, request=request)


def _unreachable(url: str, request: str, broken: httpx2.RequestError) -> ApiError:
    slow = isinstance(broken, httpx2.TimeoutException)
    problem = Problem(
        error="timeout" if slow else "unreachable",
        message=f"{url} did not answer in time" if slow else f"nothing answers at {url}",
        details={"cause": f"{type(broken).__name__}: {broken}"},
    )
    error = ApiError(problem, status=None, request=request)
    error.__cause__ = broken
    return error


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: a number, or a date beside its own ``Date``."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdigit():
        return float(value)
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None
