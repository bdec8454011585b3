"""Attacks in JavaScript: QuickJS in the same jail must not reach Python, files or time without end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MIB = 1 << 20
ENDED = frozenset({"error", "crashed", "memory"})


@dataclass(frozen=True, kw_only=True)
class Script:
    """One script, the outcomes by which it may end, and what it must return when it ends well."""

    name: str
    body: str
    """What stands inside `transform`."""
    ends: frozenset[str] = frozenset({"ok"})
    gives: Any = None
    limits: dict[str, int] = field(default_factory=dict[str, int])

    def __str__(self) -> str:
        return self.name

    def job(self, base: dict[str, Any]) -> dict[str, Any]:
        """Return the run."""
        code = "function transform(payload, context) {\n" + self.body + "\n}\n"
        context = {"secret": base["secret"], "file": base["file"]}
        return {
            "code": code,
            "language": "javascript",
            "context": context,
            "limits": {"wall_ms": 20_000, **self.limits},
        }


HOST_NAMES = """
const names = ["require", "process", "std", "os", "Deno", "Bun", "XMLHttpRequest", "WebSocket", "Worker",
  "importScripts", "load", "loadScript", "readFile", "read", "scriptArgs", "python", "__import__", "builtins", "open",
  "globals", "quickjs"];
return names.filter(name => typeof globalThis[name] !== "undefined");
"""
CLIMB = """
const found = [];
for (const start of [log, attachment, many, transform, payload, context]) {
  for (let at = start, depth = 0; at && depth < 10; at = Object.getPrototypeOf(at), depth++) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (/^__(class|globals|code|dict|builtins|self|module|subclasses)__$|^[a-z]{1,2}_/.test(name)) found.push(name);
    }
  }
}
return found;
"""
CONSTRUCTED = """
const top = (function () {}).constructor("return this")();
return [typeof top.require, typeof top.process, typeof top.std, typeof top.os, top === globalThis];
"""
BY_HOST_FUNCTION = """
const got = [];
const path = context.secret, odd = {toString() { return path; }};
for (const argument of [path, "../" + path, "file://" + path, odd, -1, null, [], {}, "__proto__", "constructor"]) {
  try { const said = String(attachment(argument)); if (said.length) got.push(said.slice(0, 50)); } catch (error) { }
}
return got;
"""
IMPORTED = """
let seen = "nothing";
import(context.secret).then(module => { seen = "module"; }, error => { seen = "error"; });
try { new Function("return import('os')")(); } catch (error) { }
return seen;
"""
SCRIPTS = [
    Script(name="names_of_hosts", body=HOST_NAMES, gives=[]),
    Script(name="climbing_from_host_functions", body=CLIMB, gives=[]),
    Script(name="constructed_code", body=CONSTRUCTED, gives=["undefined"] * 4 + [True]),
    Script(name="paths_as_attachments", body=BY_HOST_FUNCTION, gives=[]),
    Script(name="import_of_a_file", body=IMPORTED, ends=frozenset({"ok", "error"}), gives="nothing"),
    Script(
        name="static_import", body="return 1; } import * as os from 'os'; function other() {", ends=frozenset({"error"})
    ),
    Script(name="endless_loop", body="for (;;) {}", ends=frozenset({"timeout", "error"}), limits={"wall_ms": 600}),
    Script(
        name="endless_microtasks",
        body="const again = () => Promise.resolve().then(again); again(); return 1;",
        ends=frozenset({"timeout", "error", "ok"}),
        gives=1,
        limits={"wall_ms": 600},
    ),
    Script(
        name="backtracking",
        body="return /^(a+)+$/.test('a'.repeat(60) + 'b');",
        ends=frozenset({"timeout", "error"}),
        limits={"wall_ms": 600},
    ),
    Script(
        name="endless_memory",
        body="const held = []; for (;;) held.push(new Uint8Array(1 << 20).fill(1));",
        ends=ENDED,
        limits={"memory": 64 * MIB},
    ),
    Script(
        name="endless_string",
        body="let text = 'x'; for (;;) text += text + Math.random();",
        ends=ENDED,
        limits={"memory": 64 * MIB},
    ),
    Script(name="recursion", body="const deeper = n => deeper(n + 1) + 1; return deeper(0);", ends=ENDED),
    Script(
        name="nested_answer",
        body="let inner = []; for (let n = 0; n < 200000; n++) inner = [inner]; return inner;",
        ends=ENDED | {"timeout"},
        limits={"wall_ms": 600},
    ),
    Script(name="cyclic_answer", body="const a = {}; a.a = a; return a;", ends=frozenset({"error"})),
    Script(name="lying_answer", body="return {toJSON() { throw new Error('no'); }};", ends=frozenset({"error"})),
    Script(
        name="large_output",
        body="return 'x'.repeat(2 << 20);",
        ends=frozenset({"output"}),
        limits={"output_bytes": MIB},
    ),
    Script(
        name="many_outputs", body="return many(Array.from({length: 1000}, (_, n) => n));", ends=frozenset({"output"})
    ),
    Script(
        name="log_flood",
        body="for (let n = 0; n < 2000; n++) console.log('y'.repeat(1000)); return 'logged';",
        gives="logged",
    ),
    Script(name="thrown_oddity", body="throw {toString() { throw 1; }};", ends=frozenset({"error"})),
    Script(
        name="replaced_builtins",
        body="JSON.stringify = () => 'no json at all'; Object.prototype.toJSON = () => 'x'; return {a: 1};",
        ends=frozenset({"ok", "error"}),
        gives=...,
    ),
]
HONEST = Script(name="honest", body="return {honest: 1 + 1};", gives={"honest": 2})
