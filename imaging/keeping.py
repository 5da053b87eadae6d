"""What plans say of how long, and how many, pictures are kept.

A picture follows the plan of its token, else of its person, else the default plan: as
requests do. The number is a person's, so there the person's own plan counts.
"""

import datetime
from collections.abc import Iterator

from django.db.models import Count, Q, QuerySet

from accounts.models import Plan, Token, User
from imaging.models import Image


def too_old(now: datetime.datetime) -> Iterator[QuerySet]:
    """Yield for each plan with a term the pictures that are older than it."""
    own = Token.objects.filter(plan__isnull=False).order_by()
    for plan in Plan.objects.filter(image_days__isnull=False):
        by_person = Q(user__in=_people(plan)) & ~Q(token__in=own.values("pk"))
        by_token = Q(token__in=own.filter(plan=plan).values("pk"))
        end = now - datetime.timedelta(days=plan.image_days)
        yield Image.objects.filter(by_token | by_person, created_at__lte=end)


def too_many() -> Iterator[tuple[int, int]]:
    """Yield people with more pictures than their plan keeps, and how many more."""
    for plan in Plan.objects.filter(images_kept__isnull=False):
        owned = Image.objects.filter(user__in=_people(plan)).order_by()
        counts = owned.values("user").annotate(count=Count("id"))
        for row in counts.filter(count__gt=plan.images_kept):
            yield row["user"], row["count"] - plan.images_kept


def _people(plan: Plan) -> QuerySet:
    """Return the keys of those who are on a plan."""
    theirs = Q(plan=plan)
    if plan.is_default:
        theirs |= Q(plan__isnull=True)
    return User.objects.filter(theirs).order_by().values("pk")
