"""Routes of mail that goes out: the operator's."""

from __future__ import annotations

from functools import partial

from heldtrue.capabilities.post import actions
from heldtrue.capabilities.post.model import ListMails, MailView, SendTest, TheMail
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission


def routes(*, sends: bool) -> list[Route]:
    """Return the table of routes; *sends*: whether this instance has a server to hand mail to."""
    return [
        Route(
            at="GET /v1/post",
            action=partial(actions.list_mails, sends),
            summary="List mails that go out, with what came of them",
            takes=ListMails,
            gives=Listing[MailView],
            needs=Permission.POST_MANAGE,
            audits="post.listed",
            realm=Realm.OPERATOR,
            tags=("post",),
        ),
        Route(
            at="GET /v1/post/{mail_id}",
            action=partial(actions.get_mail, sends),
            summary="Look at a mail that goes out",
            takes=TheMail,
            gives=MailView,
            needs=Permission.POST_MANAGE,
            audits="post.read",
            realm=Realm.OPERATOR,
            tags=("post",),
        ),
        Route(
            at="POST /v1/post/test",
            action=partial(actions.send_test, sends),
            summary="Send a test mail",
            takes=SendTest,
            gives=MailView,
            needs=Permission.POST_MANAGE,
            audits="post.tested",
            realm=Realm.OPERATOR,
            status=202,
            creates=True,
            tags=("post",),
        ),
        Route(
            at="POST /v1/post/{mail_id}/retry",
            action=partial(actions.retry_mail, sends),
            summary="Send a mail again that failed for good",
            takes=TheMail,
            gives=MailView,
            needs=Permission.POST_MANAGE,
            audits="post.retried",
            realm=Realm.OPERATOR,
            tags=("post",),
        ),
    ]
