"""Every error that Triptych raises on purpose, under one root.

TriptychError
├── SettingsError            a setting or option is wrong
├── DataError                data that cannot be used
│   ├── UnreadableFile       missing, binary, wrong format, wrong encoding
│   ├── UnknownColumn        a named column is not there
│   ├── EmptyData            no usable row is left
│   ├── SingleClass          one class only: nothing to tell apart
│   ├── UnknownDataset       no data set of that name
│   ├── ChecksumMismatch     bytes differ from what was published
│   ├── NotAFeed             a document that is no feed, or one that is not safe to read
│   └── AddressRefused       an address that may not be called
├── EncoderError             a pre-trained model cannot be loaded or trusted
├── TrainingError            training cannot start, go on or resume
├── RegistryError            the store of model versions
│   ├── VersionNotFound
│   ├── ManifestMismatch     a file of a version changed since it was made
│   └── PromotionRefused     the candidate is worse on the gate split
├── StorageError             the database
├── ApiError                 what the API answered a client (shared/client.py)
└── ServingError             a request that cannot be served
    ├── NotAuthenticated     no key came along, or one that is not valid
    ├── NotAllowed           the key does not reach that far
    ├── NotFound             no such conversation, message or item
    ├── Conflict             the request contradicts the present state
    ├── NotReady             no model is loaded yet
    ├── Overloaded           too many requests are waiting
    └── TooManyRequests      this caller asks more often than it may

Each message says what was wrong, where, and what to do. Ids travel as attributes in ``details``.
"""

from __future__ import annotations

from typing import Any


class TriptychError(Exception):
    """The root of all errors that Triptych raises on purpose.

    ``details`` holds the ids and numbers that the message speaks of, fit for JSON.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class SettingsError(TriptychError):
    """A setting or option is wrong."""


class DataError(TriptychError):
    """Data that cannot be used."""


class UnreadableFile(DataError):
    """A file that is missing, binary, or not of the format that it claims."""


class UnknownColumn(DataError):
    """A named column is not in the data."""


class EmptyData(DataError):
    """No usable row is left."""


class SingleClass(DataError):
    """One class only: there is nothing to tell apart."""


class UnknownDataset(DataError):
    """There is no data set of that name."""


class ChecksumMismatch(DataError):
    """Bytes differ from those that were published."""


class NotAFeed(DataError):
    """A document that is no feed, or one that is not safe to read."""


class AddressRefused(DataError):
    """An address that may not be called: not http(s), not public, or not allowed."""


class EncoderError(TriptychError):
    """A pre-trained model cannot be loaded or trusted."""


class TrainingError(TriptychError):
    """Training cannot start, go on or resume."""


class RegistryError(TriptychError):
    """Something is wrong with the store of model versions."""


class VersionNotFound(RegistryError):
    """There is no such version."""


class ManifestMismatch(RegistryError):
    """A file of a version changed since the version was made."""


class PromotionRefused(RegistryError):
    """The candidate is worse than the version in use on the gate split."""


class StorageError(TriptychError):
    """The database cannot be used as asked."""


class ServingError(TriptychError):
    """A request that cannot be served."""


class NotAuthenticated(ServingError):
    """No API key came along, or one that is not valid."""


class NotAllowed(ServingError):
    """The API key is valid and does not reach that far."""


class NotFound(ServingError):
    """There is no such conversation, message or item."""


class Conflict(ServingError):
    """The request contradicts the present state."""


class NotReady(ServingError):
    """No model is loaded yet."""


class Overloaded(ServingError):
    """Too many requests are waiting."""


class TooManyRequests(ServingError):
    """This caller asks more often than it may."""
