"""``make demo``: runs every process of the system on one machine, takes payments and sends payouts."""
