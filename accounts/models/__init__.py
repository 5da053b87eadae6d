"""Rows about people, their tokens, upstream accounts and what was used."""

from accounts.models.changes import Change
from accounts.models.plans import Plan
from accounts.models.tokens import Token
from accounts.models.upstream import Account, AccountEvent, CoolDown, LearnedLimit
from accounts.models.usage import UsageHour, UsageProgress, UsageRecord
from accounts.models.users import User

__all__ = [
    "Account",
    "AccountEvent",
    "Change",
    "CoolDown",
    "LearnedLimit",
    "Plan",
    "Token",
    "UsageHour",
    "UsageProgress",
    "UsageRecord",
    "User",
]
