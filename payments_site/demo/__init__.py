"""``make demo``: runs every process of the system on one machine and takes two payments."""
