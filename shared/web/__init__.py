"""Calls to addresses that users give: checked before and while they are made."""
