"""``make demo``: every process of the system on one machine, and its main job done before your eyes."""
