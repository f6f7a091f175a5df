"""One module per kind of notice, with ``lock_query``, ``parse_target``, ``early_outcome`` and ``apply``.

Only ``payments.services.notice`` calls them: it selects the module.
"""
