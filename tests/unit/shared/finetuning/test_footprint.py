"""What a training took: counters that wrap around, power over time, and estimates that say so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.finetuning.footprint import (
    WATTS_PER_CORE,
    Footprint,
    FootprintMeter,
    PowerCounter,
    ProcessorCounter,
    peak_memory,
)
from shared.finetuning.hardware import Hardware

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")


def package(root: Path, number: int, microjoules: int, name: str = "package") -> Path:
    folder = root / f"intel-rapl:{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}-{number}\n")
    (folder / "max_energy_range_uj").write_text("1000000000\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder


def test_the_counters_of_all_packages_are_added(tmp_path: Path) -> None:
    package(tmp_path, 0, 5_000_000)
    package(tmp_path, 1, 1_000_000)
    package(tmp_path, 2, 0, name="psys")
    counter = ProcessorCounter.of_machine(tmp_path)
    assert counter is not None
    assert counter.read() == 0.0
    package(tmp_path, 0, 8_000_000)
    package(tmp_path, 1, 1_500_000)
    package(tmp_path, 2, 900_000_000, name="psys")
    assert counter.read() == pytest.approx(3.5)
    assert counter.read() == pytest.approx(3.5)


def test_a_counter_that_wrapped_around_goes_on(tmp_path: Path) -> None:
    package(tmp_path, 0, 999_000_000)
    counter = ProcessorCounter.of_machine(tmp_path)
    assert counter is not None
    package(tmp_path, 0, 2_000_000)
    assert counter.read() == pytest.approx(3.0)
    package(tmp_path, 0, 4_000_000)
    assert counter.read() == pytest.approx(5.0)


def test_a_machine_without_a_readable_counter_has_none(tmp_path: Path) -> None:
    assert ProcessorCounter.of_machine(tmp_path) is None
    package(tmp_path, 0, 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert ProcessorCounter.of_machine(tmp_path) is None


def test_power_is_added_up_over_time() -> None:
    watts: Iterator[float] = iter([100.0, 300.0, 300.0])
    times = iter([0.0, 2.0, 5.0])
    counter = PowerCounter(lambda: next(watts), lambda: next(times))
    assert counter.read() == pytest.approx(400.0)
    assert counter.read() == pytest.approx(1_300.0)


def test_without_a_counter_energy_is_an_estimate_and_says_so(tmp_path: Path) -> None:
    busy = iter([100.0, 400.0])
    meter = FootprintMeter(CPU, None, None, cpu_seconds=lambda: next(busy))
    meter.begin()
    found = meter.finish(texts=10)
    assert found.energy_joules == pytest.approx(300 * WATTS_PER_CORE)
    assert found.watt_hours == pytest.approx(1.0)
    assert "estimate" in found.energy_by
    assert "12 W a core" in found.line()
    assert found.texts_per_second > 0


def test_measured_energy_is_no_estimate(tmp_path: Path) -> None:
    package(tmp_path, 0, 0)
    before = threading.active_count()
    with FootprintMeter.start(CPU, tmp_path) as meter:
        package(tmp_path, 0, 7_200_000)
        found = meter.finish(texts=10, texts_per_second=5.0)
    assert found.energy_joules == pytest.approx(7.2)
    assert found.energy_by == "the processor's counter, whole machine"
    assert found.texts_per_second == 5.0
    assert threading.active_count() == before


def test_a_training_that_breaks_leaves_no_thread(tmp_path: Path) -> None:
    package(tmp_path, 0, 0)
    before = threading.active_count()

    def broken() -> None:
        with FootprintMeter.start(CPU, tmp_path):
            assert threading.active_count() == before + 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert threading.active_count() == before


def test_counters_are_read_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.finetuning.footprint.INTERVAL", 0.001)
    often = threading.Event()

    class Counter:
        reads = 0

        def read(self) -> float:
            self.reads += 1
            if self.reads >= 3:
                often.set()
            return float(self.reads)

    meter = FootprintMeter(CPU, Counter(), None)
    meter.begin()
    assert often.wait(10)
    assert meter.finish(texts=1).energy_joules >= 4


def test_the_gpu_and_what_is_not_told_are_named() -> None:
    gpu = Hardware("cuda", "bf16", "test")
    energy = iter([0.0, 10.0])
    untold = FootprintMeter(gpu, None, None, cpu_seconds=lambda: next(energy))
    untold._busy = untold.cpu_seconds()
    joules, by = untold._energy()
    assert joules == pytest.approx(10 * WATTS_PER_CORE)
    assert by.startswith("without the GPU")
    told = FootprintMeter(gpu, None, PowerCounter(lambda: 50.0, iter([0.0, 4.0]).__next__))
    joules, by = told._energy()
    assert joules >= 200.0
    assert by.startswith("the GPU's power draw and an estimate")


def test_memory_at_the_peak_is_that_of_the_process() -> None:
    found, whose = peak_memory(CPU)
    assert whose == "the process"
    kernel = Path("/proc/self/status")
    if kernel.is_file():
        (line,) = [row for row in kernel.read_text().splitlines() if row.startswith("VmHWM")]
        assert found == pytest.approx(1_024 * int(line.split()[1]), rel=0.02)
    else:
        assert found is None or found > 2**24


def test_a_footprint_is_one_line() -> None:
    line = Footprint(61.25, 812.4, 3 * 2**30, "the process", 1_800.0, "an estimate").line()
    assert line == (
        "61.2 s, 812 texts a second, 3.00 GiB at most (the process), 0.5 Wh (an estimate)"
    )
    assert "GiB" not in Footprint(1.0, 1.0, None, "the process", 1.0, "an estimate").line()
