"""A property whose value is made when it is first asked for, and once, whoever asks meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class made_once(Generic[T]):  # noqa: N801  # a decorator, as functools.cached_property is
    """As ``functools.cached_property``, for objects that threads share.

    That one makes the value in each thread that asks before it is there; up to Python 3.11 it lets
    the objects of a class wait for one another instead. Here those who ask for one object's value
    wait for it alone. What ``make`` raises is raised, and the next one to ask tries again.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        held = instance.__dict__
        with held.setdefault(f"_making {self._name}", threading.Lock()):
            if self._name not in held:
                held[self._name] = self._make(instance)  # found there from now on, not here
        value: T = held[self._name]
        return value
