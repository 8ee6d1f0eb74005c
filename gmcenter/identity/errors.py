"""What identity refuses, in the product's one family of errors."""

from __future__ import annotations

from gmcenter.core.errors import Conflict, GMError, RateLimited, Unauthenticated


class InvalidCredentials(Unauthenticated):
    """Wrong name or wrong password; which of the two is never told."""

    code = "invalid_credentials"


class AccountDisabled(Unauthenticated):
    """The password is right and the account is disabled: told only to someone who knows the password."""

    code = "account_disabled"


class LoginLocked(RateLimited):
    """Too many wrong passwords for this name; ``retry_after`` is in seconds. Names that do not exist lock as well."""

    code = "login_locked"


class InvalidRefreshToken(Unauthenticated):
    """The refresh token is unknown, expired, or was used before (which ends its whole family)."""

    code = "invalid_refresh_token"


class WeakPassword(GMError):
    """The new password breaks a rule; ``errors`` says which."""

    code, status = "weak_password", 422


class UserExists(Conflict):
    """The login name is taken; ``name`` is it."""

    code = "user_exists"


class LastAdministrator(Conflict):
    """The change would leave nobody who can administer the platform; ``name`` is the last one."""

    code = "last_administrator"
