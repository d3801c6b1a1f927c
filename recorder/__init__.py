"""The speaker's client: capture, measure, spool, upload."""
