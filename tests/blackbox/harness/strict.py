"""strict.py -- reads HTTP/1.1 messages by the letter of RFC 9110 and RFC 9112, for judging.

Independent of the program under test.  Whatever deviates from the grammar raises Malformed; a
message that has not yet arrived whole raises Incomplete.
"""

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x22\x24-\x7e]+) HTTP/1\.([01])")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
                   rb"[\x21-\x7e\x80-\xff])?)?)[ \t]*")
HOST = re.compile(rb"(?:\[[0-9A-Fa-fv:.!$&'()*+,;=~_-]+\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)"
                  rb"(?::[0-9]*)?")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")


class Malformed(Exception):
    pass


class Incomplete(Exception):
    pass


class Message:
    """A request or a response; `complete` is False for a body cut off by the end of the stream."""

    def __init__(self, start, fields):
        self.start, self.fields = start, fields
        self.body, self.complete, self.until_close = b"", True, False

    def all(self, name):
        return [value for n, value in self.fields if n.lower() == name.lower()]

    def first(self, name, default=None):
        return next(iter(self.all(name)), default)

    def tokens(self, name):
        return [token.strip().lower() for value in self.all(name) for token in value.split(",")]

    @property
    def method(self):
        return self.start[0]

    @property
    def target(self):
        return self.start[1]

    @property
    def status(self):
        return int(self.start[1])

    def __repr__(self):
        return f"<{' '.join(self.start)} {self.fields} {self.body[:80]!r}>"


def read_head(data, line):
    """(match of the start line, fields, the length of the head)."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if b"\n" in data.replace(b"\r\n", b"") or re.search(rb"\r[^\n]", data):
            raise Malformed(f"a bare CR or LF in {data[:200]!r}")
        raise Incomplete
    lines = data[:end].split(b"\r\n")
    start = line.fullmatch(lines[0])
    if start is None:
        raise Malformed(f"start line {lines[0][:200]!r}")
    fields = []
    for each in lines[1:]:
        field = FIELD.fullmatch(each)
        if field is None:
            raise Malformed(f"field line {each[:200]!r}")
        fields.append((field.group(1).decode(), field.group(2).decode("latin-1")))
    return start, fields, end + 4


def body_of(message):
    """`chunked`, a length, or None; refuses what is ambiguous."""
    lengths, codings = message.all("Content-Length"), message.all("Transfer-Encoding")
    if codings:
        if [c.lower() for c in codings] != ["chunked"] or lengths:
            raise Malformed(f"framing: {codings} with lengths {lengths}")
        return "chunked"
    if lengths:
        if len(lengths) != 1 or not re.fullmatch("[0-9]{1,19}", lengths[0]):
            raise Malformed(f"Content-Length {lengths}")
        return int(lengths[0])
    return None


def read_chunked(data, at):
    """(body, where it ended); trailers must be well formed."""
    body = b""
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            if b"\n" in data[at:]:
                raise Malformed(f"chunk line {data[at:at + 80]!r}")
            raise Incomplete
        size = CHUNK.fullmatch(data[at:end])
        if size is None:
            raise Malformed(f"chunk line {data[at:end][:80]!r}")
        count, at = int(size.group(1), 16), end + 2
        if count == 0:
            break
        if len(data) < at + count + 2:
            raise Incomplete
        if data[at + count:at + count + 2] != b"\r\n":
            raise Malformed("no CRLF behind a chunk's data")
        body += data[at:at + count]
        at += count + 2
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            raise Incomplete
        if end == at:
            return body, at + 2
        if FIELD.fullmatch(data[at:end]) is None:
            raise Malformed(f"trailer line {data[at:end][:80]!r}")
        at = end + 2


def take_body(message, kind, data, at):
    if kind == "chunked":
        message.body, at = read_chunked(data, at)
    elif kind:
        if len(data) < at + kind:
            raise Incomplete
        message.body, at = data[at:at + kind], at + kind
    return at


def read_request(data):
    """(message, length) of the request at the beginning of `data`."""
    start, fields, at = read_head(data, REQUEST_LINE)
    message = Message((start.group(1).decode(), start.group(2).decode(),
                       "1." + start.group(3).decode()), fields)
    hosts = message.all("Host")
    if len(hosts) > 1 or (not hosts and message.start[2] == "1.1"):
        raise Malformed(f"Host fields {hosts}")
    if hosts and HOST.fullmatch(hosts[0].encode("latin-1")) is None:
        raise Malformed(f"Host {hosts[0]!r}")
    return message, take_body(message, body_of(message), data, at)


def read_response(data, method="GET", ended=False):
    """(message, length) of the response at the beginning of `data`; `ended`: nothing follows."""
    start, fields, at = read_head(data, STATUS_LINE)
    message = Message(("1." + start.group(1).decode(), start.group(2).decode(),
                       start.group(3).decode("latin-1")), fields)
    status, kind = message.status, body_of(message)
    if status < 200 or status == 204:
        if kind is not None:
            raise Malformed(f"{status} with body framing {kind}")
        return message, at
    if method == "HEAD" or status == 304:
        return message, at
    if kind is None:
        message.until_close = True
        if not ended:
            raise Incomplete
        message.body = data[at:]
        return message, len(data)
    try:
        return message, take_body(message, kind, data, at)
    except Incomplete:
        if not ended:
            raise
        message.complete = False
        message.body = data[at:]
        return message, len(data)


def read_responses(data, methods, ended):
    """All responses in a client's stream; what is left over is Malformed if it has ended."""
    messages, at = [], 0
    methods = list(methods)
    while at < len(data):
        method = methods[0] if methods else "GET"
        message, length = read_response(data[at:], method, ended)
        messages.append(message)
        at += length
        if message.status == 101:
            break
        if message.status >= 200 and methods:
            methods.pop(0)
    return messages, data[at:]
