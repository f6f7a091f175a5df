"""API reference: the OpenAPI document, its checked-in copy, and the HTML page rendered from it."""
