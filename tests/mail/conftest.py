"""A listener to send to: one a module, with the names that its senders have."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from dns_server import Names, serve_names
from mail_house import Peer, Post, open_post
from payload_house import found_house

from heldtrue.db.tx import Database


@pytest.fixture(scope="module")
def names() -> Generator[Names]:
    with serve_names() as served:
        yield served


@pytest.fixture(scope="module")
def post(module_database: Database, names: Names, tmp_path_factory: pytest.TempPathFactory) -> Generator[Post]:
    plain = found_house(module_database)
    with open_post(plain, tmp_path_factory.mktemp("post"), names) as opened:
        yield opened
    plain.app.close()


@pytest.fixture
def peer(post: Post) -> Generator[Peer]:
    """A peer that has encrypted and said its name again."""
    with post.peer() as one:
        yield one.starttls()
