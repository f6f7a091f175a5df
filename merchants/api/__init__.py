"""The plumbing of the merchant API: who is calling, in which mode, and whether this was asked before."""
