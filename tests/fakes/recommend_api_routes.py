"""The routes of the fake recommend API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse

from shared.api import recommend, recommend_lists, recommend_operations, shapes
from tests.fakes.drift_answers import drift_route
from tests.fakes.recommend_api import FakeRecommendApi
from tests.fakes.recommend_catalogue import ITEMS
from tests.fakes.support_api import Refused

ROOT = "/v1/recommend"


def routes_of(fake: FakeRecommendApi) -> FastAPI:
    """An application that answers with the fake's state and changes it."""

    def admitted(request: Request, authorization: Annotated[str, Header()] = "") -> None:
        if request.url.path != "/readyz" and fake.key and authorization != f"Bearer {fake.key}":
            raise Refused(401, "unauthorized", "no valid key")

    app = FastAPI(dependencies=[Depends(admitted)], openapi_url=None)

    @app.exception_handler(Refused)
    def refuse(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse(error.problem.model_dump(), status_code=error.status)

    @app.get("/readyz")
    def readyz() -> shapes.Health:
        versions = {"recommend": fake.in_use if fake.ready else None}
        return shapes.Health(status="ready", versions=versions)

    _item_routes(app, fake)
    _user_routes(app, fake)
    _list_routes(app, fake)
    _bundle_routes(app, fake)
    _experiment_routes(app, fake)
    drift_route(app, fake, "recommend", fake.now)
    return app


def _item_routes(app: FastAPI, fake: FakeRecommendApi) -> None:
    @app.get(f"{ROOT}/status")
    def status(tenant: str | None = None) -> recommend_lists.StatusShape:
        fake.tenants.append(tenant)
        categories: dict[str | None, int] = {}
        for item in fake.items.values():
            categories[item.category] = categories.get(item.category, 0) + 1
        return recommend_lists.StatusShape(
            tenant=tenant or "default",
            items=len(fake.items),
            events=fake.refit.events_now,
            bundle=fake.in_use if fake.ready else None,
            synthetic=fake.synthetic,
            categories=[
                recommend_lists.CategoryCount(category=name, items=count)
                for name, count in categories.items()
            ],
        )

    @app.get(f"{ROOT}/map")
    def plane(limit: int = 2_000) -> recommend_lists.MapShape:
        points = [
            recommend_lists.MapPoint(
                id=told.id, title=told.title, category=told.category, x=told.x, y=told.y
            )
            for told in ITEMS
            if told.id in fake.items
        ]
        return recommend_lists.MapShape(
            bundle=fake.in_use, items=len(fake.items), points=points[:limit]
        )

    @app.get(f"{ROOT}/items")
    def items(query: str = "", limit: int = 50) -> recommend_lists.Items:
        found = [
            fake.summary(id)
            for id, item in sorted(fake.items.items())
            if query.casefold() in f"{id} {item.title}".casefold()
        ]
        return recommend_lists.Items(items=found[:limit])

    @app.get(f"{ROOT}/items/{{id}}")
    def item(id: str) -> recommend.ItemShape:
        return fake.item(id)

    @app.get(f"{ROOT}/items/{{id}}/similar")
    def similar(
        id: str, k: int = 10, category: str | None = None, available_only: bool = True
    ) -> recommend_lists.SimilarShape:
        found = [
            near
            for near in fake.nearest(id)
            if category in (None, near.item.category)
            and (near.item.available or not available_only)
        ]
        return recommend_lists.SimilarShape(
            item=fake.summary(id), bundle=fake.in_use, entries=found[:k]
        )

    @app.post(f"{ROOT}/query")
    def query(asked: recommend_lists.QueryBody) -> recommend_lists.QueryShape:
        return recommend_lists.QueryShape(
            bundle=fake.in_use, entries=fake.fitting(asked.text)[: asked.k]
        )


def _user_routes(app: FastAPI, fake: FakeRecommendApi) -> None:
    @app.get(f"{ROOT}/users")
    def users(prefix: str = "", limit: int = 50) -> recommend.Users:
        counts = [
            recommend.UserCount(id=user, events=len(history))
            for user, history in fake.histories.items()
            if user.startswith(prefix)
        ]
        return recommend.Users(users=sorted(counts, key=lambda one: -one.events)[:limit])

    @app.get(f"{ROOT}/users/{{user}}")
    def user(user: str) -> recommend.UserShape:
        return fake.user(user)

    @app.delete(f"{ROOT}/users/{{user}}")
    def forget(user: str) -> recommend.ForgetShape:
        fake.done.append(("forget", user))
        return fake.forget(user)

    @app.post(f"{ROOT}/events")
    def events(asked: recommend.EventsBody) -> recommend.EventsReceipt:
        for event in asked.events:
            fake.add_event(event)
            fake.done.append((event["type"], event["item"], event["user"]))
        return recommend.EventsReceipt(added=len(asked.events), repeated=0, unknown_items=0)


def _list_routes(app: FastAPI, fake: FakeRecommendApi) -> None:
    @app.post(f"{ROOT}/users/{{user}}/list")
    def list_for_user(user: str, asked: recommend_lists.ListBody) -> recommend_lists.ListShape:
        fake.asked.append(asked.model_dump(mode="json"))
        return fake.list_for(fake.histories.get(user, []), asked)

    @app.post(f"{ROOT}/session")
    def list_for_session(asked: recommend_lists.SessionBody) -> recommend_lists.ListShape:
        fake.asked.append(asked.model_dump(mode="json"))
        if asked.session is not None:
            visit = fake.histories[fake.visits[asked.session]]
            return fake.list_for(visit, asked)
        viewed = [
            recommend.HistoryEntry(
                item=id, title=fake.item(id).title, type="view", at=fake.now, strength=1.0
            )
            for id in asked.items or []
        ]
        return fake.list_for(viewed, asked)

    @app.post(f"{ROOT}/impressions/{{request_id}}/clicks")
    def click(
        request_id: str, asked: recommend_operations.ClickBody
    ) -> recommend_operations.ClickShape:
        fake.clicks.append((request_id, asked.item))
        return recommend_operations.ClickShape(counted=True)


def _bundle_routes(app: FastAPI, fake: FakeRecommendApi) -> None:
    @app.get(f"{ROOT}/bundles")
    def bundles() -> recommend_operations.Bundles:
        return recommend_operations.Bundles(
            bundles=fake.bundles(),
            promotions=fake.promotions if fake.ready else [],
            refit=fake.refit,
        )

    @app.get(f"{ROOT}/bundles/refit")
    def refit_state() -> recommend_operations.RefitShape:
        return fake.refit

    @app.post(f"{ROOT}/bundles/refit", status_code=202)
    def refit(asked: recommend_operations.SignedRequest) -> recommend_operations.RefitShape:
        fake.done.append(("refit", asked.author))
        fake.refit = fake.refit.model_copy(update={"state": "waiting", "requested_at": fake.now})
        return fake.refit

    @app.post(f"{ROOT}/bundles/rollback")
    def rollback(asked: shapes.RollbackRequest) -> shapes.PromotionShape:
        previous = fake.promotions[0].previous
        if previous is None:
            raise Refused(409, "conflict", "nothing was in use before")
        fake.done.append(("rollback", asked.author))
        was = fake.in_use
        fake.promote(previous, asked.author, force=True)
        return shapes.PromotionShape(
            app="recommend", version=previous, previous=was, forced=False, reason="rolled back"
        )

    @app.post(f"{ROOT}/bundles/{{version}}/promote")
    def promote(version: str, asked: shapes.PromoteRequest) -> shapes.PromotionShape:
        was = fake.in_use
        fake.promote(version, asked.author, force=asked.force)
        return shapes.PromotionShape(
            app="recommend", version=version, previous=was, forced=asked.force, reason="measured"
        )


def _experiment_routes(app: FastAPI, fake: FakeRecommendApi) -> None:
    @app.get(f"{ROOT}/experiments")
    def experiments() -> recommend_operations.Experiments:
        return recommend_operations.Experiments(experiments=fake.experiments)

    @app.post(f"{ROOT}/experiments", status_code=201)
    def create(asked: recommend_operations.ExperimentBody) -> recommend_operations.ExperimentShape:
        made = recommend_operations.ExperimentShape(
            id=f"{len(fake.experiments) + 1:032x}",
            name=asked.name,
            state="running",
            arms=asked.arms,
            created_by=asked.author,
            created_at=fake.now,
            stopped_at=None,
        )
        fake.experiments.insert(0, made)
        return made

    @app.get(f"{ROOT}/experiments/{{id}}")
    def results(id: str) -> recommend_operations.ExperimentResults:
        return fake.results(id)

    @app.post(f"{ROOT}/experiments/{{id}}/stop")
    def stop(
        id: str, asked: recommend_operations.SignedRequest
    ) -> recommend_operations.ExperimentShape:
        stopped = fake.find_experiment(id).model_copy(
            update={"state": "stopped", "stopped_at": fake.now}
        )
        fake.done.append(("stop", id, asked.author))
        fake.experiments = [stopped if one.id == id else one for one in fake.experiments]
        return stopped

    @app.delete(f"{ROOT}/experiments/{{id}}", status_code=204)
    def delete(id: str, author: str) -> None:
        fake.done.append(("delete", id, author))
        fake.experiments = [one for one in fake.experiments if one.id != id]
