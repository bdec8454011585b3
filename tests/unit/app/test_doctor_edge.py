"""What the doctor says of the edge."""

from __future__ import annotations

import socket
from pathlib import Path

from heldtrue.app.doctor_edge import examine_edge
from heldtrue.app.settings_edge import Edge, EdgeRoute


def levels(edge: Edge) -> dict[str, str]:
    return {finding.subject: finding.level.value for finding in examine_edge(edge)}


def test_a_door_that_anybody_may_open_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    edge = Edge(listen=f"unix:{path}", trusted_proxies=("unix",), routes=(EdgeRoute(match="/v1/**"),))
    assert levels(edge) == {"door": "ok"}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o660)
        assert levels(edge) == {"door": "ok"}
        path.chmod(0o666)
        assert levels(edge) == {"door": "wrong"}
        path.chmod(0o660)
        tmp_path.chmod(0o777)
        assert levels(edge) == {"door": "wrong"}


def test_what_is_believed_too_widely_is_said() -> None:
    edge = Edge(listen="127.0.0.1:8444", trusted_proxies=("10.0.0.0/8",), upstream="http://127.0.0.1:3000",
                proxy_listen="0.0.0.0:443", group="no-such-group")  # fmt: skip
    assert levels(edge) == {
        "door": "advice", "proxy": "advice", "trusted proxies": "wrong", "edge routes": "advice", "edge group": "wrong",
    }  # fmt: skip


def test_without_doors_there_is_nothing_to_say() -> None:
    assert levels(Edge()) == {}
