"""Services of the inbox: storing, applying, retrying and replaying notices."""
