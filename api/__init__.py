"""HTTP under /api: parse, call a service, shape the answer."""
