"""The routes under ``/v1/recommend``. Each says who may call it and calls one method.

A key opens the catalogue of its own tenant. Without keys ``?tenant=`` names one.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from apps.recommend.serving.bundles import BundleService
from apps.recommend.serving.catalogue import CatalogueService
from apps.recommend.serving.experiments import ExperimentService
from apps.recommend.serving.hot_list import HotListRoute
from apps.recommend.serving.lists import ListService
from shared.api import recommend, recommend_lists, recommend_operations
from shared.api.recommend import Id
from shared.api.shapes import Name, PromoteRequest, PromotionShape, RollbackRequest
from shared.errors import NotAllowed
from shared.serving.guards.auth import Principal, require
from shared.serving.problems import documented
from shared.tenants import DEFAULT_TENANT

PREFIX = "/v1/recommend"

IdOfPath = Annotated[Id, Path()]
ShortId = Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,32}$")]
VersionName = Annotated[
    str, Path(min_length=1, max_length=64, description="a version's name, or how it begins")
]
Author = Annotated[Name, Query(description="who does it, for the audit log")]
Limit = Annotated[int, Query(ge=1, le=200)]
Asked = Annotated[
    str | None,
    Query(
        pattern=r"^[a-z][a-z0-9-]{0,19}$",
        description="whose catalogue; with a key it is the key's",
    ),
]


def tenant_of(principal: Principal, tenant: str | None) -> str:
    """The tenant that a caller asks for. Raises NotAllowed for another than the key's."""
    if principal.key_id is None:
        return tenant or DEFAULT_TENANT
    if tenant is not None and tenant != principal.tenant:
        raise NotAllowed(
            f"the key {principal.name!r} opens the catalogue of {principal.tenant!r} and no other: "
            "make one with `triptych keys create --tenant NAME`",
            tenant=tenant,
        )
    return principal.tenant


def of_user(principal: Annotated[Principal, Depends(require("use"))], tenant: Asked = None) -> str:
    """The tenant of a caller with the scope ``use``."""
    return tenant_of(principal, tenant)


def of_reviewer(
    principal: Annotated[Principal, Depends(require("review"))], tenant: Asked = None
) -> str:
    """The tenant of a caller with the scope ``review``."""
    return tenant_of(principal, tenant)


def of_admin(
    principal: Annotated[Principal, Depends(require("admin"))], tenant: Asked = None
) -> str:
    """The tenant of a caller with the scope ``admin``."""
    return tenant_of(principal, tenant)


Use = Annotated[str, Depends(of_user)]
Review = Annotated[str, Depends(of_reviewer)]
Admin = Annotated[str, Depends(of_admin)]


def hot_list(lists: ListService, threads: int | None = None) -> HotListRoute:
    """The short way to a list for a user."""
    return HotListRoute(
        PREFIX, lambda who, user, body: lists.for_user(tenant_of(who, None), user, body), threads
    )


def recommend_router(
    catalogue: CatalogueService,
    lists: ListService,
    bundles: BundleService,
    experiments: ExperimentService,
) -> APIRouter:
    """All routes of the recommender.

    What a shop does all day (lists, events, clicks) asks for the scope ``use``; what changes the
    catalogue, reads people's histories or compares arms for ``review``; what decides which bundle
    serves, or forgets a user, for ``admin``.
    """
    router = APIRouter(prefix=PREFIX, tags=["recommend"])
    _add_lists(router, lists)
    _add_items(router, catalogue)
    _add_users(router, catalogue)
    _add_overview(router, catalogue)
    _add_bundles(router, bundles)
    _add_experiments(router, experiments)
    return router


def _add_lists(router: APIRouter, lists: ListService) -> None:
    # Ids may hold slashes, so the longer paths come first. One that holds a line feed finds no
    # route: 404.
    @router.post("/users/{user_id:path}/list", responses=documented(404))
    def list_for_user(
        user_id: IdOfPath, body: recommend_lists.ListBody, tenant: Use
    ) -> recommend_lists.ListShape:
        """A list for a user: personal, filtered, varied, with reasons."""
        return lists.for_user(tenant, user_id, body)

    @router.post("/session")
    def list_for_session(
        body: recommend_lists.SessionBody, tenant: Use
    ) -> recommend_lists.ListShape:
        """A list for a visit: a stored session, or what happened so far."""
        return lists.for_session(tenant, body)

    @router.get("/items/{item_id:path}/similar", responses=documented(404))
    def similar(
        item_id: IdOfPath,
        tenant: Use,
        k: Limit = 10,
        category: Annotated[Id | None, Query(description="of this category only")] = None,
        available_only: bool = True,
    ) -> recommend_lists.SimilarShape:
        """The items nearest to an item, by what people do and by text."""
        return lists.similar(tenant, item_id, k, category=category, available_only=available_only)

    @router.post("/query")
    def query(body: recommend_lists.QueryBody, tenant: Use) -> recommend_lists.QueryShape:
        """The items that fit a text."""
        return lists.query(tenant, body)

    @router.post("/explain", responses=documented(404))
    def explain(body: recommend_lists.ExplainBody, tenant: Use) -> recommend_lists.ExplainShape:
        """Why an item has its score for a user."""
        return lists.explain(tenant, body)


def _add_items(router: APIRouter, catalogue: CatalogueService) -> None:
    @router.get("/items")
    def items(
        tenant: Use,
        query: Annotated[Name | None, Query(description="words in id or title")] = None,
        limit: Limit = 50,
    ) -> recommend_lists.Items:
        """Items that have every word of the query, in the order of their ids."""
        return catalogue.items(tenant, query, limit)

    @router.post("/items")
    def put_items(body: recommend.ItemsBody, tenant: Review) -> recommend.ItemsReceipt:
        """Add or change up to 1,000 items; lists know them from here on."""
        return catalogue.put_items(tenant, body)

    @router.put("/items/{item_id:path}", responses=documented(404))
    def put_item(
        item_id: IdOfPath, body: recommend.ItemBody, tenant: Review
    ) -> recommend.ItemShape:
        """Add or change one item."""
        return catalogue.put_item(tenant, item_id, body)

    @router.get("/items/{item_id:path}", responses=documented(404))
    def item(item_id: IdOfPath, tenant: Use) -> recommend.ItemShape:
        """One item."""
        return catalogue.item(tenant, item_id)

    @router.delete("/items/{item_id:path}", status_code=204, responses=documented(404))
    def delete_item(item_id: IdOfPath, tenant: Review) -> None:
        """Take an item out of the catalogue: no list holds it from here on."""
        catalogue.delete_item(tenant, item_id)


def _add_users(router: APIRouter, catalogue: CatalogueService) -> None:
    @router.post("/events")
    def add_events(body: recommend.EventsBody, tenant: Use) -> recommend.EventsReceipt:
        """Keep what users did, each event id once; the next list reflects it."""
        return catalogue.add_events(tenant, body)

    @router.get("/users")
    def users(
        tenant: Review,
        prefix: Annotated[Id | None, Query(description="how the ids begin")] = None,
        limit: Limit = 50,
    ) -> recommend.Users:
        """Users, those with the most events first."""
        return catalogue.users(tenant, prefix or "", limit)

    @router.get("/users/{user_id:path}", responses=documented(404))
    def user(user_id: IdOfPath, tenant: Review) -> recommend.UserShape:
        """What is known of a user."""
        return catalogue.user(tenant, user_id)

    @router.delete("/users/{user_id:path}", responses=documented(404))
    def forget(user_id: IdOfPath, tenant: Admin) -> recommend.ForgetShape:
        """Remove all that is known of a user, at once; the next bundle is without it."""
        return catalogue.forget(tenant, user_id)


def _add_overview(router: APIRouter, catalogue: CatalogueService) -> None:
    @router.get("/status")
    def status(tenant: Use) -> recommend_lists.StatusShape:
        """The catalogue at a glance."""
        return catalogue.status(tenant)

    @router.get("/map")
    def catalogue_map(
        tenant: Use, limit: Annotated[int, Query(ge=1, le=2_000)] = 2_000
    ) -> recommend_lists.MapShape:
        """The catalogue in two dimensions, by what the items' texts mean."""
        return catalogue.map(tenant, limit)


def _add_bundles(router: APIRouter, service: BundleService) -> None:
    @router.get("/bundles")
    def bundles(tenant: Use) -> recommend_operations.Bundles:
        """All bundles, newest first, what was in use when, and how far the fit is."""
        return service.bundles(tenant)

    @router.get("/bundles/refit")
    def refit_state(tenant: Use) -> recommend_operations.RefitShape:
        """How far the fit is."""
        return service.refit_state(tenant)

    @router.post("/bundles/refit", status_code=202)
    def refit(
        body: recommend_operations.SignedRequest, tenant: Admin
    ) -> recommend_operations.RefitShape:
        """Fit again on what is stored, in the background; the gate decides whether it serves."""
        return service.request_refit(tenant, body.author)

    @router.post("/bundles/rollback", responses=documented(404, 409))
    def roll_back(body: RollbackRequest, tenant: Admin) -> PromotionShape:
        """Put the bundle before the present one back in use."""
        return service.roll_back(tenant, body.author)

    @router.post("/bundles/{version}/promote", responses=documented(404, 409))
    def promote(version: VersionName, body: PromoteRequest, tenant: Admin) -> PromotionShape:
        """Refused (409) when the gate finds the bundle worse than the one in use."""
        return service.promote(tenant, version, body.author, force=body.force)


def _add_experiments(router: APIRouter, service: ExperimentService) -> None:
    @router.post("/impressions/{request_id}/clicks", responses=documented(404))
    def click(
        request_id: ShortId, body: recommend_operations.ClickBody, tenant: Use
    ) -> recommend_operations.ClickShape:
        """A click on an entry of a list."""
        return service.click(tenant, request_id, body.item)

    @router.get("/experiments")
    def experiments(tenant: Use) -> recommend_operations.Experiments:
        """All experiments, newest first."""
        return service.experiments(tenant)

    @router.post("/experiments")
    def create_experiment(
        body: recommend_operations.ExperimentBody, tenant: Review
    ) -> recommend_operations.ExperimentShape:
        """An A/B test that runs from now on."""
        return service.create(tenant, body)

    @router.get("/experiments/{experiment_id}", responses=documented(404))
    def results(experiment_id: ShortId, tenant: Use) -> recommend_operations.ExperimentResults:
        """An experiment's impressions, clicks, rates and their intervals."""
        return service.results(tenant, experiment_id)

    @router.post("/experiments/{experiment_id}/stop", responses=documented(404, 409))
    def stop_experiment(
        experiment_id: ShortId, body: recommend_operations.SignedRequest, tenant: Review
    ) -> recommend_operations.ExperimentShape:
        """Assign nobody to it any more; what was counted stays."""
        return service.stop(tenant, experiment_id, body.author)

    @router.delete("/experiments/{experiment_id}", status_code=204, responses=documented(404, 409))
    def delete_experiment(experiment_id: ShortId, author: Author, tenant: Review) -> None:
        """Forget an experiment that is stopped, with what was counted."""
        service.delete(tenant, experiment_id, author)
