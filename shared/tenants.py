"""Tenants: product teams that share an installation and see nothing of one another."""

from __future__ import annotations

import re

from shared.errors import SettingsError

DEFAULT_TENANT = "default"
"""Whose a key or a row is where nobody says otherwise."""

MAX_TENANT = 20

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


def check_tenant(name: str) -> str:
    """The name, as it is. Raises SettingsError for one that no tenant can have."""
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"a tenant's name is a lower-case letter, then up to {MAX_TENANT - 1} lower-case "
            f"letters, digits and hyphens; {name[:40]!r} is none",
            tenant=name[:40],
        )
    return name


def tenant_of(app: str) -> str:
    """Whose versions stand under a name of the registry: ``<app>``, or ``<app>_<tenant>``.

    A tenant's hyphens are underscores there.
    """
    return app.partition("_")[2].replace("_", "-") or DEFAULT_TENANT
