"""What merchants' programmers read: the OpenAPI document, its checked-in copy, and the page made from it."""
