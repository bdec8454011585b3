"""Run a customer's JavaScript in QuickJS. What goes in and out is JSON; of Python it can call the line to the broker
alone, and that only where the transform may call a host.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import quickjs

from heldtrue.sandbox.guest.answers import Answers, TransformError
from heldtrue.sandbox.guest.fetching import FetchError, Response
from heldtrue.sandbox.guest.files import File

STACK = 1 << 20
PRELUDE = """
(function (files, room) {
  const logs = [];
  const hasOwn = Object.prototype.hasOwnProperty;
  const shown = (v) => typeof v === "string" ? v : v instanceof Error ? String(v) : JSON.stringify(v) ?? String(v);
  const log = (...values) => {
    if (room <= 0) return;
    const line = values.map(shown).join(" ");
    room -= line.length + 1;
    logs.push(room < 0 ? line.slice(0, line.length + room + 1) : line);
  };
  class File { constructor(name, type, data, encoded) { Object.assign(this, { name, type, data, encoded }); } }
  class Attached {
    constructor(value, given) {
      this.value = value;
      this.given = given.map((each) => {
        if (each instanceof File) return [each.name, each.type, each.data, each.encoded];
        if (typeof each === "string") return each;
        throw new Error("attach takes references, as a1, and what file(name, type, text) gives");
      });
    }
  }
  class Many { constructor(list) { this.list = Array.from(list); } }
  Object.defineProperties(globalThis, {
    log: { value: log },
    console: { value: Object.freeze({ log, info: log, warn: log, error: log, debug: log }) },
    many: { value: (list) => new Many(list) },
    attach: { value: (value, ...given) => new Attached(value, given) },
    file: { value: (name, type, text, as = "text") =>
      new File(String(name), String(type), String(text), as === "base64") },
    attachment: { value: (ref) => {
      if (!hasOwn.call(files, ref)) throw new Error("there is no attachment " + JSON.stringify(ref));
      return files[ref];
    } },
  });
  const line = globalThis.heldtrueLine;
  delete globalThis.heldtrueLine;
  const fetch = (method, url, headers, body) => {
    const pairs = Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]);
    const said = line === undefined
      ? { refused: ["not-allowed", "this transform may call no host"] }
      : JSON.parse(line(JSON.stringify([String(method), String(url), pairs, body == null ? "" : String(body)])));
    if (said.refused) {
      const error = new Error("FetchError: " + said.refused.join(": "));
      error.code = said.refused[0];
      throw error;
    }
    return Object.freeze({ ...said, ok: said.status >= 200 && said.status < 300, json: () => JSON.parse(said.body) });
  };
  Object.defineProperty(globalThis, "fetch", { value: fetch });
  const heldtrueCall = (payload, context) => {
    if (typeof globalThis.transform !== "function") {
      throw new Error("the code defines no function transform(payload, context)");
    }
    const given = globalThis.transform(payload, context);
    if (given instanceof Promise) throw new Error("transform must return its result, not a promise");
    const all = given === undefined || given === null ? [] : given instanceof Many ? given.list : [given];
    return JSON.stringify(all.map((each) => {
      const [value, given] = each instanceof Attached ? [each.value, each.given] : [each, []];
      const text = JSON.stringify(value);
      if (text === undefined) throw new Error("what transform returned is not JSON");
      return [text, given];
    }));
  };
  const told = () => JSON.stringify([logs, room <= 0]);
  return (what, payload, context) => what === "call" ? heldtrueCall(payload, context) : told();
})
"""


def run(
    code: bytes, payload: dict[str, Any], context: dict[str, Any], attachment: Callable[[str], bytes],
    limits: dict[str, int], answers: Answers, fetch: Callable[..., Response] | None = None,
) -> None:  # fmt: skip
    """Evaluate *code*, call its transform and give what it returns.

    QuickJS cannot call into Python while it watches the time itself; with *fetch* the runner watches alone.
    """
    engine = quickjs.Context()
    engine.set_memory_limit(limits["memory"])
    engine.set_max_stack_size(STACK)
    if fetch is None:
        engine.set_time_limit(limits["cpu_seconds"])
    else:
        engine.add_callable("heldtrueLine", partial(_fetched, fetch))
    refs = ["raw", *(each["ref"] for each in payload["attachments"] if each.get("size") is not None)]
    files = {ref: base64.b64encode(attachment(ref)).decode() for ref in refs}
    offered = engine.eval(PRELUDE)(engine.parse_json(json.dumps(files)), limits["log_bytes"])
    del files
    try:
        engine.eval(code.decode("utf-8-sig"))
        given = offered("call", *(engine.parse_json(json.dumps(each)) for each in (payload, context)))
    except (quickjs.JSException, UnicodeDecodeError) as error:
        raise _told(error, limits) from error
    finally:
        engine.set_time_limit(1)
        _logged(offered, answers)
    for document, files in json.loads(given):
        answers.give_files([each if isinstance(each, str) else _file(*each) for each in files])
        answers.give_document(document.encode())


def _file(name: str, kind: str, data: str, encoded: bool) -> File:
    return File(name, kind, base64.b64decode(data, validate=True) if encoded else data.encode())


def _fetched(fetch: Callable[..., Response], asked: str) -> str:
    method, url, pairs, body = json.loads(asked)
    try:
        response = fetch(method, url, dict(pairs), body)
    except FetchError as error:
        return json.dumps({"refused": [error.code, str(error).removeprefix(f"{error.code}: ")]})
    return json.dumps(
        {
            "status": response.status,
            "url": response.url,
            "headers": response.headers,
            "body": response.text,
            "base64": base64.b64encode(response.body).decode(),
        }
    )


def _logged(offered: Callable[[str], str], answers: Answers) -> None:
    try:
        lines, cut = json.loads(offered("logs"))
    except quickjs.JSException:
        return  # out of memory or out of stack: the outcome says so
    for line in lines:
        answers.log(str(line))
    if cut:
        answers.cut()


def _told(error: Exception, limits: dict[str, int]) -> TransformError:
    text = str(error).strip()
    if "InternalError: interrupted" in text:
        return TransformError(f"the transform used more than {limits['cpu_seconds']} s of processor time", "timeout")
    if "out of memory" in text or text == "null":
        return TransformError("the transform used more memory than it may", "memory")
    lines = text.replace("<input>", "<transform>").splitlines()
    theirs = next((index for index, line in enumerate(lines) if "at heldtrueCall " in line), len(lines))
    return TransformError("\n".join(line for line in lines[:theirs] if "at <anonymous>" not in line)[:4000])
