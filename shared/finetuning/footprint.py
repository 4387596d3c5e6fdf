"""What a training took: texts a second, memory at its peak, and energy, measured or estimated.

Energy of the processor is that of its own counter (RAPL) where it may be read: it counts the whole
machine. Elsewhere it is an estimate: seconds of processor time at ``WATTS_PER_CORE``. A GPU's
energy is its power draw over time, where the driver tells it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from shared.finetuning.hardware import Hardware

WATTS_PER_CORE = 12.0
"""Power of a busy core of an unknown processor: Lannelongue et al., "Green Algorithms", 2021."""
POWERCAP = Path("/sys/class/powercap")
INTERVAL = 1.0
"""Seconds between two readings: counters wrap around, and power changes."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """``memory_bytes`` are of ``memory_of`` (the GPU, or the process since it began), None where
    the system does not tell; ``energy_joules`` was found as ``energy_by`` says.
    """

    seconds: float
    texts_per_second: float
    memory_bytes: int | None
    memory_of: str
    energy_joules: float
    energy_by: str

    @property
    def watt_hours(self) -> float:
        """The energy in watt-hours."""
        return self.energy_joules / 3_600

    def line(self) -> str:
        """One line for people."""
        memory = ""
        if self.memory_bytes is not None:
            memory = f", {self.memory_bytes / 2**30:.2f} GiB at most ({self.memory_of})"
        return (
            f"{self.seconds:,.1f} s, {self.texts_per_second:,.0f} texts a second{memory}, "
            f"{self.watt_hours:.3g} Wh ({self.energy_by})"
        )

    def as_card(self) -> dict[str, Any]:
        """The fields as a version's card holds them."""
        return {
            "seconds": round(self.seconds, 3),
            "texts_per_second": round(self.texts_per_second, 1),
            "memory_bytes": self.memory_bytes,
            "memory_of": self.memory_of,
            "energy_watt_hours": round(self.watt_hours, 6),
            "energy_by": self.energy_by,
            "line": self.line(),
        }


class EnergyCounter(Protocol):
    """Joules since it was made; read every second or so."""

    def read(self) -> float:
        """Joules since the start."""
        ...


class ProcessorCounter:
    """RAPL: microjoules of each package of the processor, which wrap around at a maximum."""

    def __init__(self, packages: Sequence[Path]) -> None:
        self.packages = packages
        self.total = 0
        self.last = [_number(package / "energy_uj") for package in packages]
        self.largest = [_number(package / "max_energy_range_uj") for package in packages]

    @classmethod
    def of_machine(cls, powercap: Path = POWERCAP) -> ProcessorCounter | None:
        """The counter of this machine; None where there is none or it may not be read."""
        try:
            packages = [
                folder
                for folder in sorted(powercap.glob("intel-rapl:*"))
                if (folder / "name").read_text(encoding="ascii").startswith("package")
            ]
            return cls(packages) if packages else None
        except (OSError, ValueError):
            return None

    def read(self) -> float:
        """Joules since the start, of the whole machine."""
        for number, package in enumerate(self.packages):
            now = _number(package / "energy_uj")
            change = now - self.last[number]
            self.total += change if change >= 0 else change + self.largest[number]
            self.last[number] = now
        return self.total / 1e6


class PowerCounter:
    """Power in watts, added up over time by the trapezoidal rule."""

    def __init__(
        self, power: Callable[[], float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.power = power
        self.clock = clock
        self.total = 0.0
        self.watts, self.at = power(), clock()

    @classmethod
    def of_gpu(cls) -> PowerCounter | None:
        """The GPU's; None where the driver's library is missing or tells nothing."""
        import torch

        try:
            return cls(lambda: torch.cuda.power_draw() / 1_000)
        except Exception:  # NVML's errors have no common root that is there without NVML
            return None

    def read(self) -> float:
        """Joules since the start."""
        watts, now = self.power(), self.clock()
        self.total += (watts + self.watts) / 2 * (now - self.at)
        self.watts, self.at = watts, now
        return self.total


class FootprintMeter:
    """Measures from ``start`` to ``finish``; counters are read by a thread in between."""

    def __init__(
        self,
        hardware: Hardware,
        processor: EnergyCounter | None,
        gpu: EnergyCounter | None,
        cpu_seconds: Callable[[], float] = time.process_time,
    ) -> None:
        self.hardware = hardware
        self.processor = processor
        self.gpu = gpu
        self.cpu_seconds = cpu_seconds
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = self._busy = 0.0

    @classmethod
    def start(cls, hardware: Hardware, powercap: Path = POWERCAP) -> FootprintMeter:
        """Begin to measure with the counters that this machine has."""
        on_gpu = hardware.device != "cpu"
        meter = cls(
            hardware,
            ProcessorCounter.of_machine(powercap),
            PowerCounter.of_gpu() if on_gpu else None,
        )
        meter.begin()
        return meter

    def __enter__(self) -> FootprintMeter:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def begin(self) -> None:
        """Take the time, and read the counters from here on."""
        if self.hardware.device != "cpu":
            import torch

            torch.cuda.reset_peak_memory_stats()
        self._began, self._busy = time.monotonic(), self.cpu_seconds()
        if self.processor is not None or self.gpu is not None:
            self._thread = threading.Thread(target=self._watch, name="footprint", daemon=True)
            self._thread.start()

    def finish(self, texts: int, texts_per_second: float | None = None) -> Footprint:
        """What it took; without a rate of its own it is ``texts`` over all the time."""
        self.stop()
        seconds = time.monotonic() - self._began
        joules, by = self._energy()
        memory, whose = peak_memory(self.hardware)
        rate = texts / max(seconds, 1e-9) if texts_per_second is None else texts_per_second
        return Footprint(seconds, rate, memory, whose, joules, by)

    def stop(self) -> None:
        """Read the counters no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _energy(self) -> tuple[float, str]:
        told = []
        joules = 0.0
        if self.gpu is not None:
            joules += self.gpu.read()
            told.append("the GPU's power draw")
        elif self.hardware.device != "cpu":
            told.append("without the GPU, whose power is not told")
        if self.processor is not None:
            joules += self.processor.read()
            told.append("the processor's counter, whole machine")
        else:
            busy = self.cpu_seconds() - self._busy
            joules += busy * WATTS_PER_CORE
            told.append(
                f"an estimate: {busy:,.0f} s of processor time at {WATTS_PER_CORE:g} W a core"
            )
        return joules, " and ".join(told)

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            for counter in (self.processor, self.gpu):
                if counter is not None:
                    counter.read()


def peak_memory(hardware: Hardware) -> tuple[int | None, str]:
    """Bytes at the peak, and of what: the GPU since it was reset, or the process since it began."""
    if hardware.device != "cpu":
        import torch

        return int(torch.cuda.max_memory_allocated()), "the GPU"
    try:
        import resource
    except ImportError:  # Windows has no such count
        return None, "the process"
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest * (1 if sys.platform == "darwin" else 1_024), "the process"


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
