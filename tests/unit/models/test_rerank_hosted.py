"""Rerankers of services, against a server on this machine that speaks like them."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vicino.env import RealEnv
from vicino.errors import Error, InvalidArgument, ServiceError, TimeoutError
from vicino.models import HostedReranker, load_reranker
from vicino.models.rerank_http import check_url

KEY = "sk-very-secret"


class Service:
    """Scores a text by its length, after `refusals` have been given; remembers what it was asked and with which key."""

    def __init__(self, results: str = "results") -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.refusals: list[tuple[int, dict[str, str], bytes]] = []
        self.answer: Callable[[dict[str, Any]], Any] = lambda asked: {
            results: [{"index": at, "relevance_score": len(text)} for at, text in reversed(list(enumerate(asked["documents"])))]
        }
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.requests.append(asked)
                service.keys.append(self.headers["Authorization"])
                status, headers, body = service.refusals.pop(0) if service.refusals else (200, {}, None)
                body = json.dumps(service.answer(asked)).encode() if body is None else body
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/rerank"


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield service
    service.server.shutdown()
    service.server.server_close()
    thread.join()


class SleeplessEnv(RealEnv):
    """Waiting takes no time but is counted, and the clock goes on by it."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def monotonic(self) -> float:
        return super().monotonic() + sum(self.slept)


def reranker(service: Service, provider: str = "cohere", **options: Any) -> HostedReranker:
    return HostedReranker(provider, "some-model", **{"key": KEY, "url": service.url, "env": SleeplessEnv(), **options})


@pytest.mark.parametrize(
    ("provider", "results", "said"),
    [("cohere", "results", {}), ("voyage", "data", {"truncation": True}), ("jina", "results", {"return_documents": False})],
)
def test_each_provider_is_asked_in_its_form(service: Service, provider: str, results: str, said: dict[str, Any]) -> None:
    scored = service.answer
    service.answer = lambda asked: {results: scored(asked)["results"]}
    assert reranker(service, provider).scores("q", ["bb", "a"]) == [2.0, 1.0]
    assert service.requests == [{"model": "some-model", "query": "q", "documents": ["bb", "a"], **said}]
    assert service.keys == [f"Bearer {KEY}"]


def test_texts_beyond_one_request_go_into_the_next(service: Service) -> None:
    texts = ["x" * (1 + row % 7) for row in range(1003)]
    assert reranker(service).scores("q", texts) == [1.0 + row % 7 for row in range(1003)]
    assert [len(asked["documents"]) for asked in service.requests] == [1000, 3]


def test_texts_without_a_word_are_not_sent(service: Service) -> None:
    assert reranker(service).scores("q", ["", "abc", " \n"]) == [0.0, 3.0, 0.0]
    assert service.requests[0]["documents"] == ["abc"]


def test_server_of_ones_own_is_asked_without_a_key(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JINA_API_KEY", raising=False)
    assert reranker(service, "jina", key=None).scores("q", ["a"]) == [1.0]
    assert service.keys == [None]


def test_key_comes_from_the_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOYAGE_API_KEY", "from the environment")
    scored = service.answer
    service.answer = lambda asked: {"data": scored(asked)["results"]}
    reranker(service, "voyage", key=None).scores("q", ["a"])
    assert service.keys == ["Bearer from the environment"]


def test_missing_key_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COHERE_API_KEY", raising=False)
    with pytest.raises(InvalidArgument, match="set COHERE_API_KEY, or give key="):
        load_reranker("cohere/rerank-v3.5")


def test_hosted_reranker_is_loaded_by_provider_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINA_API_KEY", KEY)
    assert load_reranker("jina/some-model").name == "jina/some-model"


@pytest.mark.parametrize("status", [429, 503])
def test_busy_service_is_asked_again_when_it_says(service: Service, status: int) -> None:
    service.refusals = [(status, {"Retry-After": "7"}, b"slow down")] * 2
    env = SleeplessEnv()
    assert reranker(service, env=env).scores("q", ["a"]) == [1.0]
    assert env.slept == [7.0, 7.0]


def test_date_of_retry_after_is_understood(service: Service) -> None:
    service.refusals = [(503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, b"")]
    env = SleeplessEnv()
    assert reranker(service, env=env).scores("q", ["a"]) == [1.0]
    assert env.slept == [0.0]


def test_pauses_grow_when_the_service_names_none(service: Service) -> None:
    service.refusals = [(503, {}, b"")] * 3
    env = SleeplessEnv()
    reranker(service, env=env).scores("q", ["a"])
    assert env.slept == [0.5, 1.0, 2.0]


def test_service_that_stays_busy_is_given_up(service: Service) -> None:
    service.refusals = [(429, {}, b"no quota")] * 9
    with pytest.raises(ServiceError, match=r"answered 429: no quota, in each of 4 tries") as raised:
        reranker(service).scores("q", ["a"])
    assert (raised.value.status, len(service.requests)) == (429, 4)


def test_wait_beyond_the_time_left_is_not_begun(service: Service) -> None:
    service.refusals = [(429, {"Retry-After": "60"}, b"")]
    env = SleeplessEnv()
    with pytest.raises(TimeoutError, match="another try waits 60 s"):
        reranker(service, env=env).scores_within("q", ["a"], 5.0)
    assert env.slept == []


def test_service_that_answers_too_late_is_a_timeout(service: Service) -> None:
    env, release = RealEnv(), threading.Event()
    scored = service.answer

    def late(asked: dict[str, Any]) -> Any:
        release.wait(5)
        return scored(asked)

    service.answer = late
    try:
        with pytest.raises(TimeoutError, match="did not answer in time"):
            reranker(service, env=env).scores_within("q", ["a"], 0.1)
    finally:
        release.set()


def test_refusal_is_not_tried_again_and_shows_no_key(service: Service) -> None:
    service.refusals = [(401, {}, f"invalid key {KEY}".encode())]
    with pytest.raises(ServiceError, match="answered 401: invalid key …; check the key") as raised:
        reranker(service).scores("q", ["a"])
    assert (len(service.requests), raised.value.status) == (1, 401)
    assert KEY not in repr(raised.value)


def test_key_is_not_in_the_repr(service: Service) -> None:
    made = reranker(service)
    assert KEY not in repr(made) + repr(vars(made))


def test_redirections_are_not_followed(service: Service) -> None:
    service.refusals = [(302, {"Location": service.url}, b"")]
    with pytest.raises(ServiceError, match=r"answered 302.*give the address it leads to"):
        reranker(service).scores("q", ["a"])
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"results": "none"},
        {"results": []},
        {"results": [{"index": 0, "relevance_score": 1}]},
        {"results": [{"index": 0, "relevance_score": 1}, {"index": 0, "relevance_score": 2}]},
        {"results": [{"index": 0, "relevance_score": 1}, {"index": 2, "relevance_score": 2}]},
        {"results": [{"index": 0, "relevance_score": 1}, {"index": 1, "relevance_score": float("nan")}]},
        {"results": [{"index": 0, "relevance_score": 1}, {"index": 1}]},
    ],
    ids=["list", "no list", "empty", "too few", "twice", "beyond", "nan", "no score"],
)
def test_answer_without_all_scores_is_refused(service: Service, answer: Any) -> None:
    service.answer = lambda _asked: answer
    with pytest.raises(ServiceError, match="of 2 texts"):
        reranker(service).scores("q", ["a", "b"])


def test_answer_that_is_no_json_is_refused(service: Service) -> None:
    service.refusals = [(200, {}, b"<html>")]
    with pytest.raises(ServiceError, match="gave no JSON: <html>"):
        reranker(service).scores("q", ["a"])


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://host/rerank", "like https://host/path"),
        ("https://user:word@host/rerank", "without a user"),
        ("http://far.example/rerank", "over https only"),
    ],
)
def test_address_that_would_leak_the_key_is_refused(url: str, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told) as raised:
        check_url(url, KEY)
    assert "word" not in str(raised.value)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: HostedReranker("cohera", "m", key="k"), 'Did you mean "cohere"'),
        (lambda: HostedReranker("cohere", "", key="k"), "the model of a reranker is named"),
        (lambda: HostedReranker("cohere", "m", key="k", timeout_s=0), "timeout_s must be greater than 0"),
    ],
    ids=["provider", "model", "timeout"],
)
def test_bad_arguments_are_refused(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(Error, match=told):
        make()
