"""What each kind of notice does, a module each: ``lock_query``, ``parse_target``, ``early_outcome``, ``apply``.

``payments.services.notice`` chooses the module; nothing else calls them.
"""
