"""What the client asks of the recommender."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from shared.api import recommend, recommend_lists, recommend_operations, shapes
from shared.api.calls import Calls, made, path_of
from shared.catalogue import EventType

ROOT = ("v1", "recommend")
S = TypeVar("S", bound=shapes.Shape)


class RecommendCalls:
    """The calls of ``/v1/recommend``; a part of ``shared.client.TriptychClient``.

    ``tenant`` names a team's world where the server runs without keys; with keys it is the key's.
    ``settings`` of a list are the fields of ``shared.api.recommend_lists.ListSettings``.
    """

    _calls: Calls

    # Items

    def put_items(
        self, items: Sequence[Mapping[str, Any]], *, tenant: str | None = None
    ) -> recommend.ItemsReceipt:
        """Add or change up to 1,000 items at once; sent twice it changes nothing more."""
        body = made(recommend.ItemsBody, items=[dict(item) for item in items])
        answer = self._send("POST", ("items",), tenant, body, repeat=True, slow=True)
        return self._calls.read(answer, recommend.ItemsReceipt)

    def put_item(
        self, item_id: str, title: str, *, tenant: str | None = None, **fields: Any
    ) -> recommend.ItemShape:
        """Add or change one item: text, category, price, available, attributes."""
        body = made(recommend.ItemBody, title=title, **fields)
        answer = self._send("PUT", ("items", item_id), tenant, body, repeat=True)
        return self._calls.read(answer, recommend.ItemShape)

    def item(self, item_id: str, *, tenant: str | None = None) -> recommend.ItemShape:
        """One item."""
        return self._get(("items", item_id), recommend.ItemShape, tenant)

    def items(
        self, query: str | None = None, *, limit: int = 50, tenant: str | None = None
    ) -> list[recommend_lists.ItemSummary]:
        """Items with these words in title or id, in the order of their ids."""
        return self._get(
            ("items",), recommend_lists.Items, tenant, query=query or None, limit=limit
        ).items

    def delete_item(self, item_id: str, *, tenant: str | None = None) -> None:
        """Take an item out of the catalogue: no list holds it from here on."""
        self._send("DELETE", ("items", item_id), tenant, repeat=False)

    def similar_items(
        self,
        item_id: str,
        *,
        k: int = 10,
        category: str | None = None,
        available_only: bool = True,
        tenant: str | None = None,
    ) -> recommend_lists.SimilarShape:
        """The items nearest to an item by what people do and by text."""
        return self._get(
            ("items", item_id, "similar"),
            recommend_lists.SimilarShape,
            tenant,
            k=k,
            category=category,
            available_only="true" if available_only else "false",
        )

    # Events and users

    def send_events(
        self, events: Sequence[Mapping[str, Any]], *, tenant: str | None = None
    ) -> recommend.EventsReceipt:
        """Up to 1,000 events; those without an id get one here, so that a repeat counts once."""
        named = [{**event, "id": event.get("id") or uuid.uuid4().hex} for event in events]
        body = made(recommend.EventsBody, events=[_plain(event) for event in named])
        answer = self._send("POST", ("events",), tenant, body, repeat=True, slow=True)
        return self._calls.read(answer, recommend.EventsReceipt)

    def send_event(
        self,
        user: str,
        item: str,
        type: EventType = "view",
        *,
        tenant: str | None = None,
        **fields: Any,
    ) -> recommend.EventsReceipt:
        """One event; further fields are those of ``shared.api.recommend.EventBody``."""
        event = made(recommend.EventBody, user=user, item=item, type=type, **fields)
        return self.send_events([event.model_dump(mode="json")], tenant=tenant)

    def recommend_user(self, user: str, *, tenant: str | None = None) -> recommend.UserShape:
        """What is known of a user."""
        return self._get(("users", user), recommend.UserShape, tenant)

    def recommend_users(
        self, prefix: str | None = None, *, limit: int = 50, tenant: str | None = None
    ) -> list[recommend.UserCount]:
        """Users whose id begins so, those with the most events first."""
        return self._get(
            ("users",), recommend.Users, tenant, prefix=prefix or None, limit=limit
        ).users

    def forget_user(self, user: str, *, tenant: str | None = None) -> recommend.ForgetShape:
        """Remove all that is known of a user, at once."""
        answer = self._send("DELETE", ("users", user), tenant, repeat=False)
        return self._calls.read(answer, recommend.ForgetShape)

    # Lists

    def list_for_user(
        self, user: str, *, tenant: str | None = None, **settings: Any
    ) -> recommend_lists.ListShape:
        """A list for a user; also ``explain`` and ``record`` (whether it counts as shown)."""
        body = made(recommend_lists.ListBody, **settings)
        answer = self._send("POST", ("users", user, "list"), tenant, body, repeat=True)
        return self._calls.read(answer, recommend_lists.ListShape)

    def list_for_session(
        self,
        session: str | None = None,
        *,
        items: Sequence[str] | None = None,
        events: Sequence[Mapping[str, Any]] | None = None,
        tenant: str | None = None,
        **settings: Any,
    ) -> recommend_lists.ListShape:
        """A list for a visit: a stored session, item ids, or events, oldest first."""
        body = made(
            recommend_lists.SessionBody,
            session=session,
            items=None if items is None else list(items),
            events=None if events is None else [dict(event) for event in events],
            **settings,
        )
        answer = self._send("POST", ("session",), tenant, body, repeat=True)
        return self._calls.read(answer, recommend_lists.ListShape)

    def items_for_text(
        self,
        text: str,
        *,
        k: int = 10,
        filters: Mapping[str, Any] | None = None,
        tenant: str | None = None,
    ) -> recommend_lists.QueryShape:
        """The items that fit a text."""
        body = made(recommend_lists.QueryBody, text=text, k=k, filters=dict(filters or {}))
        answer = self._send("POST", ("query",), tenant, body, repeat=True)
        return self._calls.read(answer, recommend_lists.QueryShape)

    def explain_item(
        self, user: str, item: str, *, tenant: str | None = None
    ) -> recommend_lists.ExplainShape:
        """Why an item has its score for a user."""
        body = made(recommend_lists.ExplainBody, user=user, item=item)
        answer = self._send("POST", ("explain",), tenant, body, repeat=True)
        return self._calls.read(answer, recommend_lists.ExplainShape)

    def send_click(
        self, request_id: str, item: str, *, tenant: str | None = None
    ) -> recommend_operations.ClickShape:
        """A click on an entry of a list."""
        body = made(recommend_operations.ClickBody, item=item)
        answer = self._send(
            "POST", ("impressions", request_id, "clicks"), tenant, body, repeat=True
        )
        return self._calls.read(answer, recommend_operations.ClickShape)

    # The catalogue as a whole

    def recommend_status(self, *, tenant: str | None = None) -> recommend_lists.StatusShape:
        """A tenant at a glance: items, events, bundle, categories."""
        return self._get(("status",), recommend_lists.StatusShape, tenant)

    def catalogue_map(
        self, *, limit: int = 2_000, tenant: str | None = None
    ) -> recommend_lists.MapShape:
        """The catalogue in two dimensions."""
        return self._get(("map",), recommend_lists.MapShape, tenant, limit=limit)

    # Bundles

    def bundles(self, *, tenant: str | None = None) -> recommend_operations.Bundles:
        """All bundles, newest first, what was in use when, and how far the fit is."""
        return self._get(("bundles",), recommend_operations.Bundles, tenant)

    def request_refit(
        self, *, author: str, tenant: str | None = None
    ) -> recommend_operations.RefitShape:
        """Fit again on what is stored, in the background."""
        body = made(recommend_operations.SignedRequest, author=author)
        answer = self._send("POST", ("bundles", "refit"), tenant, body, repeat=False)
        return self._calls.read(answer, recommend_operations.RefitShape)

    def refit_state(self, *, tenant: str | None = None) -> recommend_operations.RefitShape:
        """How far the fit is."""
        return self._get(("bundles", "refit"), recommend_operations.RefitShape, tenant)

    def promote_bundle(
        self, version: str, *, author: str, force: bool = False, tenant: str | None = None
    ) -> shapes.PromotionShape:
        """Put a bundle in use; refused (409) when the gate finds it worse, unless forced."""
        body = made(shapes.PromoteRequest, author=author, force=force)
        answer = self._send(
            "POST", ("bundles", version, "promote"), tenant, body, repeat=False, slow=True
        )
        return self._calls.read(answer, shapes.PromotionShape)

    def rollback_bundle(self, *, author: str, tenant: str | None = None) -> shapes.PromotionShape:
        """Put the bundle before the present one back in use."""
        body = made(shapes.RollbackRequest, author=author)
        answer = self._send("POST", ("bundles", "rollback"), tenant, body, repeat=False)
        return self._calls.read(answer, shapes.PromotionShape)

    # Experiments

    def experiments(
        self, *, tenant: str | None = None
    ) -> list[recommend_operations.ExperimentShape]:
        """All experiments, newest first."""
        return self._get(("experiments",), recommend_operations.Experiments, tenant).experiments

    def create_experiment(
        self,
        name: str,
        arms: Sequence[Mapping[str, Any]],
        *,
        author: str,
        tenant: str | None = None,
    ) -> recommend_operations.ExperimentShape:
        """An A/B test that runs from now on; the first arm is what the others are compared with."""
        body = made(
            recommend_operations.ExperimentBody,
            name=name,
            arms=[dict(arm) for arm in arms],
            author=author,
        )
        answer = self._send("POST", ("experiments",), tenant, body, repeat=False)
        return self._calls.read(answer, recommend_operations.ExperimentShape)

    def experiment_results(
        self, experiment_id: str, *, tenant: str | None = None
    ) -> recommend_operations.ExperimentResults:
        """An experiment's impressions, clicks, rates and their intervals."""
        return self._get(
            ("experiments", experiment_id), recommend_operations.ExperimentResults, tenant
        )

    def stop_experiment(
        self, experiment_id: str, *, author: str, tenant: str | None = None
    ) -> recommend_operations.ExperimentShape:
        """Assign nobody to it any more; what was counted stays."""
        body = made(recommend_operations.SignedRequest, author=author)
        path = ("experiments", experiment_id, "stop")
        answer = self._send("POST", path, tenant, body, repeat=False)
        return self._calls.read(answer, recommend_operations.ExperimentShape)

    def delete_experiment(
        self, experiment_id: str, *, author: str, tenant: str | None = None
    ) -> None:
        """Forget an experiment that is stopped, with what was counted."""
        path = ("experiments", experiment_id)
        self._send("DELETE", path, tenant, repeat=False, author=author)

    def _get(
        self,
        path: tuple[str, ...],
        shape: type[S],
        tenant: str | None,
        **query: str | int | None,
    ) -> S:
        return self._calls.get(path_of(*ROOT, *path), shape, tenant=tenant, **query)

    def _send(
        self,
        method: str,
        path: tuple[str, ...],
        tenant: str | None,
        body: shapes.Shape | None = None,
        *,
        repeat: bool,
        slow: bool = False,
        author: str | None = None,
    ) -> Any:
        query = {"tenant": tenant, "author": author}
        content: dict[str, Any] = {
            "params": {name: value for name, value in query.items() if value is not None}
        }
        if body is not None:
            content["json"] = body.model_dump(mode="json")
        return self._calls.send(method, path_of(*ROOT, *path), repeat=repeat, slow=slow, **content)


def _plain(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as JSON: a time in ISO 8601."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in event.items()
    }
