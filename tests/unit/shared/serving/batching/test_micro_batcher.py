from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from shared.errors import NotReady, Overloaded
from shared.serving.batching import micro_batcher as batching
from shared.serving.batching.micro_batcher import MicroBatcher, estimate_tokens
from shared.serving.batching.rows import BatchedRows

pytestmark = pytest.mark.unit


class Model:
    """Upper-cases texts. ``gate`` holds batches back; ``batches`` keeps what came, and where."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def __call__(self, texts: list[str]) -> list[str]:
        self.batches.append(texts)
        self.threads.add(threading.current_thread().name)
        self.entered.release()
        assert self.gate.wait(10)
        if "poison" in texts:
            raise RuntimeError("cannot read poison")
        return [text.upper() for text in texts]


class Notes:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def batch(self, waited: object, inference_seconds: float) -> None:
        self.sizes.append(len(waited))  # type: ignore[arg-type]
        assert inference_seconds >= 0


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.gate.set()


async def held(model: Model, batcher: MicroBatcher[str]) -> asyncio.Task[list[str]]:
    """A first request that holds the worker inside the model until the gate opens."""
    model.gate.clear()
    task = asyncio.create_task(batcher.submit(["first"]))
    await asyncio.to_thread(model.entered.acquire)
    return task


def test_results_keep_the_order_of_texts(model: Model) -> None:
    with MicroBatcher(model) as batcher:
        assert asyncio.run(batcher.submit(["a", "b", "c"])) == ["A", "B", "C"]
        assert asyncio.run(batcher.submit([])) == []
        assert batcher.submit_blocking(["d"]) == ["D"]
    assert threading.current_thread().name not in model.threads


def test_requests_that_wait_go_together_in_one_thread(model: Model) -> None:
    notes = Notes()

    async def scenario(batcher: MicroBatcher[str]) -> list[list[str]]:
        first = await held(model, batcher)
        rest = [asyncio.create_task(batcher.submit([f"t{n}"])) for n in range(10)]
        await asyncio.sleep(0.02)
        model.gate.set()
        return await asyncio.gather(first, *rest)

    with MicroBatcher(model, observer=notes) as batcher:
        results = asyncio.run(scenario(batcher))
    assert results == [["FIRST"], *([f"T{n}"] for n in range(10))]
    assert len(model.batches) == 2
    assert notes.sizes == [1, 10]
    assert len(model.threads) == 1


def test_no_batch_is_larger_than_allowed_and_requests_may_span_batches(model: Model) -> None:
    with MicroBatcher(model, max_batch=4) as batcher:
        texts = [f"t{n}" for n in range(11)]
        assert asyncio.run(batcher.submit(texts)) == [text.upper() for text in texts]
    assert [len(batch) for batch in model.batches] == [4, 4, 3]


def test_a_full_queue_refuses_and_recovers(model: Model) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> None:
        first = await held(model, batcher)
        waiting = asyncio.create_task(batcher.submit(["a", "b", "c"]))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await batcher.submit(["d", "e"])
        assert caught.value.details["waiting"] == 3
        model.gate.set()
        assert await first == ["FIRST"]
        assert await waiting == ["A", "B", "C"]
        assert await batcher.submit(["d", "e"]) == ["D", "E"]

    with MicroBatcher(model, max_queue=4) as batcher:
        asyncio.run(scenario(batcher))


def test_cancelled_requests_are_not_computed(model: Model) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> None:
        first = await held(model, batcher)
        gone = asyncio.create_task(batcher.submit(["gone"]))
        kept = asyncio.create_task(batcher.submit(["kept"]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        model.gate.set()
        await first
        assert await kept == ["KEPT"]
        assert gone.cancelled()

    with MicroBatcher(model) as batcher:
        asyncio.run(scenario(batcher))
    assert model.batches == [["first"], ["kept"]]


def test_cancelled_requests_leave_room_in_the_queue(model: Model) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> None:
        first = await held(model, batcher)
        gone = asyncio.create_task(batcher.submit(["gone"]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        kept = asyncio.create_task(batcher.submit(["kept"]))
        await asyncio.sleep(0)
        model.gate.set()
        assert await kept == ["KEPT"]
        await first

    with MicroBatcher(model, max_queue=1) as batcher:
        asyncio.run(scenario(batcher))


def test_one_bad_text_fails_no_other_request(model: Model) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> None:
        first = await held(model, batcher)
        good = asyncio.create_task(batcher.submit(["good"]))
        bad = asyncio.create_task(batcher.submit(["poison"]))
        await asyncio.sleep(0.01)
        model.gate.set()
        await first
        assert await good == ["GOOD"]
        with pytest.raises(RuntimeError, match="poison"):
            await bad
        assert await batcher.submit(["after"]) == ["AFTER"]

    with MicroBatcher(model) as batcher:
        asyncio.run(scenario(batcher))


def test_a_wrong_number_of_results_is_an_error() -> None:
    with (
        MicroBatcher[str](lambda texts: texts[1:]) as batcher,
        pytest.raises(RuntimeError, match="1 results for 2 texts"),
    ):
        batcher.submit_blocking(["a", "b"])


def test_the_event_loop_runs_while_the_model_computes(model: Model) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> int:
        first = await held(model, batcher)
        turns = 0
        for _ in range(50):
            await asyncio.sleep(0)
            turns += 1
        assert not first.done()
        model.gate.set()
        await first
        return turns

    with MicroBatcher(model) as batcher:
        assert asyncio.run(scenario(batcher)) == 50


def test_closing_refuses_what_waits_and_what_comes(model: Model) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> None:
        first = await held(model, batcher)
        waiting = asyncio.create_task(batcher.submit(["waiting"]))
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(batcher.close))
        with pytest.raises(NotReady):
            await waiting
        model.gate.set()
        await closing
        assert await first == ["FIRST"]
        with pytest.raises(NotReady):
            await batcher.submit(["late"])

    asyncio.run(scenario(MicroBatcher(model)))
    assert model.batches == [["first"]]


def test_many_threads_get_their_own_results(model: Model) -> None:
    results: dict[int, list[str]] = {}
    with MicroBatcher(model, max_batch=5) as batcher:

        def ask(number: int) -> None:
            results[number] = batcher.submit_blocking([f"a{number}", f"b{number}"])

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {number: [f"A{number}", f"B{number}"] for number in range(40)}


def test_a_batch_is_bounded_by_padded_tokens(model: Model) -> None:
    """Two texts of 40 beside one of 60 would be 180 when padded: more than 130."""
    texts = ["a" * 40, "b" * 40, "c" * 60, "d" * 10, "e" * 10, "f" * 400, "g"]
    with MicroBatcher(model, max_tokens=130, longest=512, tokens_of=len) as batcher:
        assert batcher.submit_blocking(texts) == [text.upper() for text in texts]
    assert [[text[0] for text in batch] for batch in model.batches] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
        ["f"],  # above the budget: alone
        ["g"],
    ]


def test_texts_count_no_more_than_the_model_reads(model: Model) -> None:
    with MicroBatcher(model, max_tokens=100, longest=50, tokens_of=len) as batcher:
        batcher.submit_blocking(["a" * 900, "b" * 900, "c" * 900])
    assert [len(batch) for batch in model.batches] == [2, 1]


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("How do I track my new card, which was sent a week ago?", 13, 40),
        ("我的银行卡还没有到，请帮我查一下", 15, 40),
        ("", 1, 4),
        ("\ud800", 1, 4),
    ],
)
def test_tokens_are_estimated_rather_high(text: str, least: int, most: int) -> None:
    assert least <= estimate_tokens(text) <= most


@pytest.mark.parametrize("blocking", [False, True])
def test_what_waits_too_long_is_dropped_and_says_when_to_come_again(
    model: Model, blocking: bool
) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> None:
        first = await held(model, batcher)
        late = (
            asyncio.to_thread(batcher.submit_blocking, ["late"])
            if blocking
            else batcher.submit(["late"])
        )
        with pytest.raises(Overloaded, match=r"waited 0\.05 seconds") as caught:
            await late
        assert caught.value.details["retry_after_seconds"] >= 1
        assert batcher.waiting == 0
        model.gate.set()
        assert await first == ["FIRST"]  # in the model already: it is answered
        assert await batcher.submit(["after"]) == ["AFTER"]

    with MicroBatcher(model, max_queue_seconds=0.05) as batcher:
        asyncio.run(scenario(batcher))
    assert model.batches == [["first"], ["after"]]


def test_the_pause_asked_for_follows_the_measured_rate() -> None:
    def slow(texts: list[str]) -> list[str]:
        time.sleep(0.02 * len(texts))
        return texts

    with MicroBatcher(slow, max_batch=5, max_queue=100) as batcher:
        batcher.submit_blocking(["x"] * 5)

        async def fill() -> float:
            filled = asyncio.create_task(batcher.submit(["x"] * 100))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded) as caught:
                await batcher.submit(["y"] * 100)
            filled.cancel()
            return float(caught.value.details["retry_after_seconds"])

        assert asyncio.run(fill()) == pytest.approx(2.0, rel=0.3)


def test_cancelling_drops_what_is_left_of_a_large_request(model: Model) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> None:
        model.gate.clear()
        large = asyncio.create_task(batcher.submit([f"t{n}" for n in range(9)]))
        await asyncio.to_thread(model.entered.acquire)
        assert batcher.waiting == 6
        large.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting == 0
        model.gate.set()
        assert await batcher.submit(["after"]) == ["AFTER"]

    with MicroBatcher(model, max_batch=3) as batcher:
        asyncio.run(scenario(batcher))
    assert [len(batch) for batch in model.batches] == [3, 1]


def test_all_coroutines_of_a_batch_are_woken_by_one_call(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> int:
        loop = asyncio.get_running_loop()
        first = await held(model, batcher)
        rest = [asyncio.create_task(batcher.submit([f"t{n}"])) for n in range(20)]
        await asyncio.sleep(0.01)
        calls: list[object] = []
        real = loop.call_soon_threadsafe

        def counted(callback: Any, *arguments: Any, context: Any = None) -> asyncio.Handle:
            calls.append(callback)
            return real(callback, *arguments, context=context)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        model.gate.set()
        await asyncio.gather(first, *rest)
        return len(calls)

    with MicroBatcher(model) as batcher:
        assert asyncio.run(scenario(batcher)) == 2


def test_a_lone_request_does_not_wait_for_company(model: Model) -> None:
    with MicroBatcher(model, max_wait_ms=2_000) as batcher:
        began = time.perf_counter()
        batcher.submit_blocking(["a"])
        batcher.submit_blocking(["b"])
        assert time.perf_counter() - began < 1


def test_requests_of_a_closed_event_loop_do_not_stop_the_worker(model: Model) -> None:
    async def leave(batcher: MicroBatcher[str]) -> None:
        first = await held(model, batcher)
        first.cancel()

    with MicroBatcher(model) as batcher:
        asyncio.run(leave(batcher))
        model.gate.set()
        assert batcher.submit_blocking(["after"]) == ["AFTER"]


def test_a_worker_to_which_nothing_comes_ends_and_another_begins(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "IDLE_SECONDS", 0.02)
    names: list[threading.Thread] = []

    def predict(texts: list[str]) -> list[str]:
        names.append(threading.current_thread())
        return model(texts)

    with MicroBatcher(predict) as batcher:
        assert batcher.submit_blocking(["a"]) == ["A"]
        names[0].join(5)
        assert not names[0].is_alive()
        assert batcher.submit_blocking(["b"]) == ["B"]
    assert names[0] is not names[1]


def test_rows_of_arrays_are_batched_and_large_calls_go_past_the_queue() -> None:
    calls: list[int] = []

    def compute(texts: list[str]) -> np.ndarray:
        calls.append(len(texts))
        return np.array([[len(text), 1.0] for text in texts]).reshape(-1, 2)

    rows = BatchedRows(compute)
    assert rows(["a", "bbb"]).tolist() == [[1, 1], [3, 1]]
    assert rows([]).shape == (0, 2)
    assert rows(["a"] * 200).shape == (200, 2)
    assert calls == [2, 0, 200]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_batch": 0},
        {"max_queue": 0},
        {"max_wait_ms": -1},
        {"max_tokens": 0},
        {"max_queue_seconds": 0},
    ],
)
def test_sizes_that_make_no_sense_are_refused(model: Model, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        MicroBatcher(model, **wrong)
