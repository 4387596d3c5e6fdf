"""Where each tenant's bundles stand in the registry of models."""

from __future__ import annotations

from shared.tenants import DEFAULT_TENANT, check_tenant

__all__ = ["DEFAULT_TENANT", "check_tenant", "registry_app"]


def registry_app(tenant: str) -> str:
    """The registry's name for a tenant: "recommend" for the default one, "recommend_<name>" else.

    Raises SettingsError for a name that no tenant can have.
    """
    if check_tenant(tenant) == DEFAULT_TENANT:
        return "recommend"
    return "recommend_" + tenant.replace("-", "_")
