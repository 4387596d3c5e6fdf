"""The short way to a list for a user, which a shop asks for with each page.

FastAPI's own way takes as long as the list itself. Here a few threads make the lists, in the order
in which they were asked for, and those that wait for a search of the catalogue at once share it: as
many threads as there are requests would hand Python's lock around instead, and all would be late.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from functools import partial

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.types import Scope

from shared.api import recommend_lists
from shared.api.recommend import Id
from shared.serving.guards.auth import Principal
from shared.serving.hot_path import HotRoute
from shared.serving.interleaving import InterleavingThreads

_ID: TypeAdapter[str] = TypeAdapter(Id)

ListFor = Callable[[Principal, str, recommend_lists.ListBody], recommend_lists.ListShape]
"""Makes the list of a user, as who asks may see it; blocks."""


class HotListRoute(HotRoute):
    """POST ``{prefix}/users/{user}/list``, for holders of the scope ``use``.

    An id or a query that is not plain goes on to FastAPI's route of the same path. ``threads`` make
    the lists; as many as there are cores, unless it says otherwise.
    """

    def __init__(self, prefix: str, list_for: ListFor, threads: int | None = None) -> None:
        super().__init__(
            f"{prefix}/users/{{user_id:path}}/list",
            recommend_lists.ListBody,
            _never,
            scope="use",
        )
        self._before, self._after = self.path.split("{user_id:path}")
        self._list_for = list_for
        self._count = threads or os.cpu_count() or 1
        self._threads: InterleavingThreads | None = None

    def fits(self, scope: Scope) -> bool:
        """Whether it asks for the list of a user whose id can be one, and for nothing else."""
        path: str = scope["path"]
        if not (path.startswith(self._before) and path.endswith(self._after)):
            return False
        user = self._user(scope)
        try:
            return (
                not scope["query_string"] and "\n" not in user and _ID.validate_python(user) == user
            )
        except ValidationError:
            return False

    async def answered(self, scope: Scope, asked: recommend_lists.ListBody) -> BaseModel:
        """The list; the key is checked in the thread that makes it."""
        user, context = self._user(scope), contextvars.copy_context()

        def make() -> recommend_lists.ListShape:
            return self._list_for(self.admit(scope), user, asked)

        if self._threads is None:  # the event loop alone comes here
            self._threads = InterleavingThreads(self._count, name="lists")
        return await asyncio.wrap_future(self._threads.submit(partial(context.run, make)))

    def close(self) -> None:
        """End the threads, once what they work on is done; another request starts others."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.close()

    def _user(self, scope: Scope) -> str:
        path: str = scope["path"]
        return path[len(self._before) : len(path) - len(self._after)]


async def _never(_asked: BaseModel) -> BaseModel:
    raise AssertionError("a list is made by a thread")
