"""Admin pages of callers: users, tokens, plans and what they used."""

from accounts.admin import plans, tokens, usage, users

__all__ = ["plans", "tokens", "usage", "users"]
