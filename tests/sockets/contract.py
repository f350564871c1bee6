"""The rows of the protocol's tables: what is sent, and what must come back."""

from __future__ import annotations

from typing import Any, NamedTuple

UNKNOWN = b"UNKNOWN_COMMMAND"
ERROR_UNKNOWN = b"ERROR#UNKNOWN_COMMMAND"
NAME = "giant laser on the moon"


class Pull(NamedTuple):
    """One request to a pull socket with codenames a, b; None: no reply."""

    id: str
    points: dict[str, Any]
    timeouts: Any
    request: bytes
    reply: bytes | None


class Push(NamedTuple):
    """One request to a push socket; None: no reply."""

    id: str
    request: bytes
    reply: bytes | None
    stored: dict[str, Any] | None = None


class Returned(NamedTuple):
    """What a direct callback returns, in which format, and how it is sent."""

    id: str
    return_format: str
    value: Any
    reply: bytes


P = {"a": (1.0, 2.5), "b": (3, 4)}

# Both kinds of pull sockets answer these alike; the clock stands at 1000.0 s.
PULL = [
    Pull("raw", P, None, b"raw", b"1.0,2.5;3,4"),
    Pull("json", P, None, b"json", b"[[1.0, 2.5], [3, 4]]"),
    Pull("raw-names", P, None, b"raw_wn", b"a:1.0,2.5;b:3,4"),
    Pull("json-names", P, None, b"json_wn", b'{"a": [1.0, 2.5], "b": [3, 4]}'),
    Pull("one-raw", P, None, b"a#raw", b"1.0,2.5"),
    Pull("one-json", P, None, b"b#json", b"[3, 4]"),
    Pull("codenames-raw", P, None, b"codenames_raw", b"a,b"),
    Pull("codenames-json", P, None, b"codenames_json", b'["a", "b"]'),
    Pull("name", P, None, b"name", NAME.encode()),
    Pull("defaults", {}, None, b"json_wn", b'{"a": [0.0, 0.0], "b": [0.0, 0.0]}'),
    # Requests that are unknown.
    Pull("unknown-codenames", P, None, b"codenames", UNKNOWN),
    Pull("unknown-commands", P, None, b"commands", UNKNOWN),
    Pull("unknown-empty", P, None, b"", UNKNOWN),
    Pull("unknown-two-signs", P, None, b"a#raw#", UNKNOWN),
    Pull("unknown-sign-first", P, None, b"#a#raw", UNKNOWN),
    Pull("unknown-only-signs", P, None, b"####", UNKNOWN),
    Pull("unknown-codename", P, None, b"c#raw", UNKNOWN),
    Pull("unknown-codename-json", P, None, b"c#json", UNKNOWN),
    Pull("unknown-format", P, None, b"a#foo", UNKNOWN),
    Pull("unknown-format-name", P, None, b"a#raw_wn", UNKNOWN),
    Pull("unknown-newline", P, None, b"raw\n", UNKNOWN),
    Pull("unknown-space", P, None, b" raw", UNKNOWN),
    Pull("unknown-case", P, None, b"RAW", UNKNOWN),
    Pull("unknown-tail", P, None, b"raw\0", UNKNOWN),
    Pull("unknown-sign-last", P, None, b"raw#", UNKNOWN),
    Pull("unknown-word-with-codename", P, None, b"a#name", UNKNOWN),
    Pull("unknown-codename-case", P, None, b"A#raw", UNKNOWN),
    Pull("unknown-codename-space", P, None, b" a#raw", UNKNOWN),
    Pull("unknown-codename-empty", P, None, b"#raw", UNKNOWN),
    Pull("unknown-bare-codename", P, None, b"a", UNKNOWN),
    Pull("not-ascii", P, None, "räw".encode(), None),
    Pull("not-ascii-codename", P, None, "ä#raw".encode(), None),
    Pull("not-ascii-byte", P, None, b"raw\xff", None),
    # Old points: one timeout of 10 s for both, or one for each.
    Pull("old-raw", {"a": (1.0, 2.5), "b": (999.0, 4)}, 0, b"raw", b"OLD_DATA;OLD_DATA"),
    Pull("old-json", P, 0, b"json", b'["OLD_DATA", "OLD_DATA"]'),
    Pull("old-raw-names", P, [0, None], b"raw_wn", b"a:OLD_DATA;b:3,4"),
    Pull("old-json-names", P, (None, 0), b"json_wn", b'{"a": [1.0, 2.5], "b": "OLD_DATA"}'),
    Pull("old-one-raw", P, [0, None], b"a#raw", b"OLD_DATA"),
    Pull("old-raw-list", P, [None, 0], b"raw", b"1.0,2.5;OLD_DATA"),
    Pull("old-json-list", P, [None, 0], b"json", b'[[1.0, 2.5], "OLD_DATA"]'),
    Pull("old-one-json", P, [0, None], b"a#json", b'"OLD_DATA"'),
    Pull("old-default", {}, 10, b"raw", b"OLD_DATA;OLD_DATA"),
    Pull("fresh", {"a": (990.0, 1), "b": (1000.0, 2)}, 10, b"raw", b"990.0,1;1000.0,2"),
    # Formatting.
    Pull("values-raw", {"a": (1, "x"), "b": (None, True)}, None, b"raw", b"1,x;None,True"),
    Pull("values-json", {"a": (1, "x"), "b": (None, True)}, None, b"json", b'[[1, "x"], [null, true]]'),
    Pull("infinite-raw", {"a": (float("nan"), float("inf"))}, None, b"a#raw", b"nan,inf"),
    Pull("infinite-json", {"a": (float("nan"), float("-inf"))}, None, b"a#json", b"[NaN, -Infinity]"),
    Pull("three-raw", {"a": (1, 2, 3)}, None, b"a#raw", b"1,2"),
    Pull("three-json", {"a": (1, 2, 3)}, None, b"a#json", b"[1, 2, 3]"),
    Pull("list-json", {"a": [1, 2]}, None, b"a#json", b"[1, 2]"),
    Pull("one-item-raw", {"a": (1,)}, None, b"a#raw", None),
    Pull("one-item-json", {"a": (1,)}, None, b"a#json", b"[1]"),
    Pull("value-not-ascii-raw", {"a": (1, "µ")}, None, b"a#raw", None),
    Pull("value-not-ascii-json", {"a": (1, "µ")}, None, b"a#json", b'[1, "\\u00b5"]'),
    Pull("reply-60-kB", {"a": (1, "x" * 59_998)}, None, b"a#raw", b"1," + b"x" * 59_998),
    Pull("reply-70-kB", {"a": (1, "x" * 70_000)}, None, b"a#raw", None),
    Pull("value-not-ascii-all", {"a": (1, "µ")}, None, b"raw", None),
    Pull("values-list-raw", {"a": (1, [2, 3])}, None, b"a#raw", b"1,[2, 3]"),
    Pull("values-dict-json", {"a": (1, {"u": 2})}, None, b"a#json", b'[1, {"u": 2}]'),
    Pull(
        "value-large",
        {"a": (1795166981.4312, 10**30)},
        None,
        b"a#raw",
        b"1795166981.4312," + b"1" + b"0" * 30,
    ),
    Pull("value-small-json", {"a": (0.1, 1e-30)}, None, b"a#json", b"[0.1, 1e-30]"),
    # A codename that the socket was not made with.
    Pull(
        "extra-json-names",
        {**P, "zz": (5, 6)},
        None,
        b"json_wn",
        b'{"a": [1.0, 2.5], "b": [3, 4], "zz": [5, 6]}',
    ),
    Pull("extra-one", {**P, "zz": (5, 6)}, None, b"zz#raw", b"5,6"),
    Pull("extra-raw", {**P, "zz": (5, 6)}, None, b"raw", b"1.0,2.5;3,4"),
    Pull("extra-raw-names", {**P, "zz": (5, 6)}, None, b"raw_wn", b"a:1.0,2.5;b:3,4"),
    Pull("extra-codenames", {**P, "zz": (5, 6)}, None, b"codenames_raw", b"a,b"),
    # Requests are cut at 8192 bytes.
    Pull("long-request", P, None, b"a#raw" + b" " * 9000, UNKNOWN),
]

COMMANDS = b'RET#["json_wn#", "raw_wn#", "name", "status", "commands"]'
_TYPES = b"Only dict_keys(['int', 'float', 'str', 'bool']) are allowed"
_INT = b"Unable to convert values to 'int'. Error is: invalid literal for int() with base 10: 'hh'"
_PARTS = b"did not match the expected format of 3 parts divided by ':'"

PUSH = [
    Push("name", b"name", b"RET#" + NAME.encode()),
    Push("commands", b"commands", COMMANDS),
    Push("json", b'json_wn#{"a": 1, "d": null}', b"ACK#{'a': 1, 'd': None}", {"a": 1, "d": None}),
    Push("json-empty", b"json_wn#{}", b"ACK#{}", {}),
    Push(
        "json-lists",
        b'json_wn#{"a": [1, "x", {"b": true}]}',
        b"ACK#{'a': [1, 'x', {'b': True}]}",
        {"a": [1, "x", {"b": True}]},
    ),
    Push("json-infinity", b'json_wn#{"a": Infinity}', b"ACK#{'a': inf}", {"a": float("inf")}),
    Push("json-not-ascii", b'json_wn#{"a": "\\u00b5"}', None, {"a": "µ"}),
    Push(
        "raw",
        b"raw_wn#a:int:1;b:float:2.5;c:str:x y;d:bool:True",
        b"ACK#{'a': 1, 'b': 2.5, 'c': 'x y', 'd': True}",
        {"a": 1, "b": 2.5, "c": "x y", "d": True},
    ),
    Push(
        "raw-lists",
        b"raw_wn#a:int:1,2;b:bool:False,True",
        b"ACK#{'a': [1, 2], 'b': [False, True]}",
        {"a": [1, 2], "b": [False, True]},
    ),
    Push("raw-twice", b"raw_wn#a:int:1;a:int:2", b"ACK#{'a': 2}", {"a": 2}),
    Push("raw-empty-string", b"raw_wn#a:str:", b"ACK#{'a': ''}", {"a": ""}),
    Push("raw-empty-codename", b"raw_wn#:int:1", b"ACK#{'': 1}", {"": 1}),
    Push("raw-strings", b"raw_wn#a:str:x,y", b"ACK#{'a': ['x', 'y']}", {"a": ["x", "y"]}),
    Push("raw-spaces", b"raw_wn#a b:float: 1 ", b"ACK#{'a b': 1.0}", {"a b": 1.0}),
    Push("raw-infinity", b"raw_wn#a:float:-inf", b"ACK#{'a': -inf}", {"a": float("-inf")}),
    Push("raw-quote", b"raw_wn#a:str:it's", b"ACK#{'a': \"it's\"}", {"a": "it's"}),
    Push("raw-cut", b"raw_wn#a:str:" + b"x" * 9000, b"ACK#{'a': '" + b"x" * 8179 + b"'}", {"a": "x" * 8179}),
    Push("json-spaces", b' json_wn#{"a": 1}', ERROR_UNKNOWN),
    Push("json-loose", b'json_wn# {"a" :1, "a":2}\n', b"ACK#{'a': 2}", {"a": 2}),
    Push("json-escaped-sign", b'json_wn#{"a": "\\u0023"}', b"ACK#{'a': '#'}", {"a": "#"}),
    Push("bad-part", b"raw_wn#bad", b"ERROR#The data part 'bad' " + _PARTS),
    Push("bad-four-parts", b"raw_wn#a:str:x:y", b"ERROR#The data part 'a:str:x:y' " + _PARTS),
    Push("bad-trailing", b"raw_wn#a:int:1;", b"ERROR#The data part '' " + _PARTS),
    Push("bad-type", b"raw_wn#a:foo:1", b"ERROR#The data type 'foo' is unknown. " + _TYPES),
    Push("bad-int", b"raw_wn#a:int:hh", b"ERROR#" + _INT),
    Push("bad-int-of-float", b"raw_wn#a:int:1.5", b"ERROR#" + _INT.replace(b"'hh'", b"'1.5'")),
    Push("bad-int-in-list", b"raw_wn#a:int:1,hh", b"ERROR#" + _INT),
    Push(
        "bad-float",
        b"raw_wn#a:float:x",
        b"ERROR#Unable to convert values to 'float'. Error is: could not convert string to float: 'x'",
    ),
    Push("bad-type-case", b"raw_wn#a:INT:1", b"ERROR#The data type 'INT' is unknown. " + _TYPES),
    Push("bad-second-part", b"raw_wn#a:int:1;bad", b"ERROR#The data part 'bad' " + _PARTS),
    Push("bad-raw-empty", b"raw_wn#", b"ERROR#The data part '' " + _PARTS),
    Push("bad-json-empty", b"json_wn#", b"ERROR#The string '' could not be decoded as JSON"),
    Push("bad-json-quotes", b"json_wn#{'a': 1}", b"ERROR#The string '{'a': 1}' could not be decoded as JSON"),
    Push(
        "bad-null",
        b"json_wn#null",
        b"ERROR#The object 'None' returned after decoding the JSON string is not a dict",
    ),
    Push("bad-no-dict-not-ascii", b'json_wn#["\\u00b5"]', None),
    Push("bad-json", b"json_wn#nonsense", b"ERROR#The string 'nonsense' could not be decoded as JSON"),
    Push(
        "bad-no-dict",
        b"json_wn#[1]",
        b"ERROR#The object '[1]' returned after decoding the JSON string is not a dict",
    ),
    Push(
        "bad-cut",
        b'json_wn#{"a": "' + b"x" * 9000 + b'"}',
        b"ERROR#The string '" + (b'{"a": "' + b"x" * 9000)[: 8192 - 8] + b"' could not be decoded as JSON",
    ),
    Push("unknown-sign-in-json", b'json_wn#{"a": "#"}', ERROR_UNKNOWN),
    Push("unknown-no-sign", b"json_wn", ERROR_UNKNOWN),
    Push("unknown-empty", b"", ERROR_UNKNOWN),
    Push("unknown-word", b"foo#{}", ERROR_UNKNOWN),
    Push("unknown-json", b"json#{}", ERROR_UNKNOWN),
    Push("unknown-raw", b"raw", ERROR_UNKNOWN),
    Push("unknown-status-with-sign", b"status#", ERROR_UNKNOWN),
    Push("unknown-word-case", b"JSON_WN#{}", ERROR_UNKNOWN),
    Push("unknown-two-signs", b"raw_wn#a:int:1#", ERROR_UNKNOWN),
    Push("unknown-name-with-sign", b"name#", ERROR_UNKNOWN),
    Push("unknown-case", b"NAME", ERROR_UNKNOWN),
    Push("unknown-newline", b"name\n", ERROR_UNKNOWN),
    Push("unknown-only-signs", b"#" * 200, ERROR_UNKNOWN),
    Push("not-ascii", 'json_wn#{"a": "µ"}'.encode(), None),
]

_FAILED = b"EXCEP#Raw conversion failed with message:"

RETURNED = [
    Returned("json", "json", {"a": [1, None]}, b'RET#{"a": [1, null]}'),
    Returned("json-none", "json", None, b"RET#null"),
    Returned("json-object", "json", object(), b"EXCEP#Object of type object is not JSON serializable"),
    Returned("json-text", "json", "µ", b'RET#"\\u00b5"'),
    Returned("json-tuple", "json", (1, 2.5), b"RET#[1, 2.5]"),
    Returned("json-nan", "json", float("nan"), b"RET#NaN"),
    Returned("json-set", "json", {1}, b"EXCEP#Object of type set is not JSON serializable"),
    Returned("string-none", "string", None, b"RET#None"),
    Returned("string-text", "string", "off", b"RET#off"),
    Returned("string-dict", "string", {"a": 1}, b"RET#{'a': 1}"),
    Returned("string", "string", [1, "x"], b"RET#[1, 'x']"),
    Returned("raw-none", "raw", None, b"RET#None"),
    Returned("raw-dict", "raw", {"a": [1, 2], "b": True}, b"RET#a:int:1,2;b:bool:True"),
    Returned("raw-types", "raw", {"a": 1.5, "b": "x"}, b"RET#a:float:1.5;b:str:x"),
    Returned("raw-empty", "raw", {}, b"RET#"),
    Returned("raw-lists", "raw", {"a": [True, False], "b": ["x"]}, b"RET#a:bool:True,False;b:str:x"),
    Returned("raw-rows-int", "raw", [[1, 2], [3]], b"RET#int:1,2&3"),
    Returned("raw-rows-text", "raw", [["x", "y"]], b"RET#str:x,y"),
    Returned("raw-rows-bool", "raw", [[True], [False]], b"RET#bool:True&False"),
    Returned("raw-rows", "raw", [[1.0, 42.0], [1.5, 45.6]], b"RET#float:1.0,42.0&1.5,45.6"),
    Returned(
        "raw-mixed",
        "raw",
        {"a": [1, 2.0]},
        _FAILED + b"values of one type are needed, these have: float, int",
    ),
    Returned("raw-type", "raw", {"a": None}, _FAILED + b"values are int, float, bool or str, not NoneType"),
    Returned("raw-scalar", "raw", 5, _FAILED + b"5 is neither None, nor a dict, nor a list of lists"),
]

SYSTEM_STATUS = {
    "filesystem_usage", "last_apt_cache_change_unixtime", "last_git_fetch_unixtime", "load_average", "mac_address",
    "machine_name", "max_python_mem_usage_bytes", "number_of_python_threads", "os_version", "purpose",
    "python_version", "rpi_model", "rpi_temperature", "sd_card_serial", "uptime",
}  # fmt: skip
