"""The finance monitor: every story once, scored per company, an index, alerts that say why."""
