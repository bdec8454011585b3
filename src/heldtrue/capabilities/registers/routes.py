"""Routes of registers: the operator's."""

from __future__ import annotations

from functools import partial

from heldtrue.capabilities.registers import desk
from heldtrue.capabilities.registers.model import Kinds
from heldtrue.capabilities.registers.wire import (
    AskItem,
    AskRegister,
    EntryList,
    EntryRecord,
    ImportItems,
    ImportOutcome,
    PutItem,
    RegisterList,
    WithdrawItem,
)
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission


def routes(kinds: Kinds) -> list[Route]:
    """Return the table of routes over *kinds*."""
    return [
        Route(
            at="GET /v1/registers",
            action=partial(desk.list_registers, kinds),
            summary="List the registers, with the schema of their documents",
            gives=RegisterList,
            needs=Permission.REGISTER_READ,
            audits="register.listed",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="POST /v1/registers",
            action=partial(desk.import_items, kinds),
            summary="Record many items at one time, all or none; or try it as a dry run",
            takes=ImportItems,
            gives=ImportOutcome,
            needs=Permission.REGISTER_WRITE,
            audits="register.imported",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="GET /v1/registers/{register}",
            action=partial(desk.list_items, kinds),
            summary="List a register's items, as they stand or as they stood at a time",
            takes=AskRegister,
            gives=EntryList,
            needs=Permission.REGISTER_READ,
            audits="register.read",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="GET /v1/registers/{register}/{item}",
            action=partial(desk.show_item, kinds),
            summary="Read an item as it stands",
            takes=AskItem,
            gives=EntryRecord,
            needs=Permission.REGISTER_READ,
            audits="register.item.read",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="GET /v1/registers/{register}/{item}/history",
            action=partial(desk.show_history, kinds),
            summary="Read every version of an item",
            takes=AskItem,
            gives=EntryList,
            needs=Permission.REGISTER_READ,
            audits="register.item.read",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="PUT /v1/registers/{register}/{item}",
            action=partial(desk.put_item, kinds),
            summary="Record the next version of an item: an entry in the log, in the same transaction",
            takes=PutItem,
            gives=EntryRecord,
            needs=Permission.REGISTER_WRITE,
            audits="register.item.recorded",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="DELETE /v1/registers/{register}/{item}",
            action=partial(desk.withdraw_item, kinds),
            summary="Take an item out of its register; what was recorded of it stays to be read",
            takes=WithdrawItem,
            gives=EntryRecord,
            needs=Permission.REGISTER_WRITE,
            audits="register.item.withdrawn",
            realm=Realm.OPERATOR,
        ),
    ]
