from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from shared.errors import NotReady, Overloaded
from shared.serving.batching import MicroBatcher

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


@pytest.mark.parametrize("wrong", [{"max_batch": 0}, {"max_queue": 0}, {"max_wait_ms": -1}])
def test_sizes_that_make_no_sense_are_refused(model: Model, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        MicroBatcher(model, **wrong)
