"""Gauges that stand in the database: feeds, deliveries, fits. The same from every API process.

A scrape may come every few seconds, to each of many processes. What is read is kept for some
seconds; times are counted in slots of that length, so that processes which are asked in the same
slot read for the same moment. Moments are told as seconds since 1970, not as ages: an age is
``time() - gauge`` where it is shown, and right whenever it is asked for
(https://prometheus.io/docs/practices/instrumentation/#timestamps-not-time-since).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

LOGGER = logging.getLogger(__name__)

KEPT_SECONDS = 15.0
"""How long gauges of the database are shown before they are read again."""


@dataclass(frozen=True, slots=True)
class StoredGauge:
    """One gauge with its values by label values; ``labels`` names them, in order."""

    name: str
    description: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]

    def __post_init__(self) -> None:
        if not self.name.startswith("triptych_"):
            raise ValueError(f"{self.name!r} should begin with triptych_")

    @classmethod
    def single(cls, name: str, description: str, value: float | datetime | None) -> StoredGauge:
        """A gauge without labels: a number, or a moment in seconds since 1970; None for no value.

        Raises ValueError for a moment without a time zone.
        """
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError(f"{value!r} has no time zone")
            value = value.timestamp()
        return cls(name, description, (), {} if value is None else {(): float(value)})


ReadGauges = Callable[[datetime], Iterable[StoredGauge]]
"""Reads an app's gauges for a moment (aware, UTC). May block, and raise SQLAlchemyError."""


@dataclass(slots=True)
class _Reader:
    read: ReadGauges
    gauges: tuple[StoredGauge, ...] = ()
    works: bool = False


@dataclass(slots=True)
class _State:
    slot: int | None = None
    readers: dict[str, _Reader] = field(default_factory=dict)


class StoredGauges(Collector):
    """A collector over readers, one an app; reads each at most once in ``seconds``.

    A reader that fails shows ``triptych_database_up`` 0 for its app, and no other value: none is
    better than one of long ago.
    """

    def __init__(
        self,
        *,
        seconds: float = KEPT_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._state = _State()

    def add(self, app: str, read: ReadGauges) -> None:
        """Read the gauges of ``app`` so from now on."""
        with self._lock:
            self._state.readers[app] = _Reader(read)
            self._state.slot = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; blocks while they are read."""
        with self._lock:
            self._read_when_due()
            readers = [(app, one.works, one.gauges) for app, one in self._state.readers.items()]
        up = GaugeMetricFamily(
            "triptych_database_up",
            "1 when the gauges of an app could be read from the database",
            labels=["app"],
        )
        for app, works, _ in readers:
            up.add_metric([app], float(works))
        yield up
        for _, _, gauges in readers:
            for gauge in gauges:
                family = GaugeMetricFamily(gauge.name, gauge.description, labels=gauge.labels)
                for labels, value in gauge.values.items():
                    family.add_metric(labels, value)
                yield family

    def _read_when_due(self) -> None:
        slot = int(self._clock().timestamp() // self._seconds)
        if slot == self._state.slot:
            return
        moment = datetime.fromtimestamp(slot * self._seconds, UTC)
        for app, reader in self._state.readers.items():
            try:
                reader.gauges, reader.works = tuple(reader.read(moment)), True
            except SQLAlchemyError:
                if reader.works or self._state.slot is None:
                    LOGGER.exception("the gauges of %s could not be read", app)
                reader.gauges, reader.works = (), False
        self._state.slot = slot
