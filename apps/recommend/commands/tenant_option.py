"""The option that says whose catalogue a command works on."""

from __future__ import annotations

import click

from shared.tenants import DEFAULT_TENANT

tenant_option = click.option(
    "--tenant",
    default=DEFAULT_TENANT,
    show_default=True,
    help="The product team whose catalogue it is.",
)
