"""Who acts, and what they may do: users, sessions, tokens, policy, scope and audit.

Nothing above this package decides about access on its own: a use case takes an ``Actor``, asks ``policy.require`` and
cuts its lists by a ``Scope``.
"""
