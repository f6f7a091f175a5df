"""The border, both ways: ``inbound`` takes providers' notices; what merchants receive will stand beside it."""
