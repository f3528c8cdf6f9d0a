"""wire_cases.py -- raw bytes, the clause that decides about them, and what must become of them.

Request cases are judged by what arrives at a recording upstream, response cases by what arrives at
the client.  Clauses are sections of RFC 9110 and RFC 9112 unless another document is named.
"""

import socket
from dataclasses import dataclass, field

from harness.raw import Closed


@dataclass
class Case:
    """One case.  `steps`: bytes sent in turn, a pause between them.

    verdict `refused`: nothing is forwarded, one of `statuses` is answered, the connection closes.
    `forwarded`: exactly `count` strictly valid requests arrive; the last must be as `wants` says.
    `either`: one of both.  For responses: `passed`, `bad` (502), `cut` (the client sees that the
    body is not whole), `either`.
    """
    section: str
    clause: str
    steps: list
    verdict: str
    statuses: tuple = ()
    count: int = 1
    wants: dict = field(default_factory=dict)
    name: str = ""


REQUESTS, RESPONSES = [], []
SECTION = [""]
H = "Host: a\r\n"


def latin(data):
    return data if isinstance(data, bytes) else data.encode("latin-1")


def add(table, clause, data, verdict, **more):
    steps = [latin(step) for step in (data if isinstance(data, list) else [data])]
    table.append(Case(SECTION[0], clause, steps, verdict, **more))


def section(name):
    SECTION[0] = name


# ---- requests ----

def refused(clause, data, *statuses):
    add(REQUESTS, clause, data, "refused", statuses=statuses or (400,))


def forwarded(clause, data, count=1, **wants):
    add(REQUESTS, clause, data, "forwarded", count=count, wants=wants)


def either(clause, data, *statuses):
    add(REQUESTS, clause, data, "either", statuses=statuses or (400, 501, 505))


def line(text, fields=H):
    return f"{text}\r\n{fields}\r\n"


def get(fields, body=""):
    return f"GET /case HTTP/1.1\r\n{H}{fields}\r\n{body}"


def post(fields, body=""):
    return f"POST /case HTTP/1.1\r\n{H}{fields}\r\n{body}"


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"

section("request line")
forwarded("9112 3: the plain form", line("GET /case HTTP/1.1"), target="/case", method="GET")
refused("9112 3: two SP before the target", line("GET  /case HTTP/1.1"))
refused("9112 3: two SP before the version", line("GET /case  HTTP/1.1"))
refused("9112 3: HTAB before the target", line("GET\t/case HTTP/1.1"))
refused("9112 3: HTAB before the version", line("GET /case\tHTTP/1.1"))
refused("9112 3: SP behind the version", line("GET /case HTTP/1.1 "))
refused("9112 3: SP before the method", line(" GET /case HTTP/1.1"))
refused("9112 3: VT for SP", line("GET\v/case HTTP/1.1"))
refused("9112 3: FF for SP", line("GET /case\fHTTP/1.1"))
refused("9112 3: CR for SP", line("GET /case\rHTTP/1.1"), 400, 505)
refused("9112 3: no target", line("GET HTTP/1.1"), 400, 505)
refused("9112 3: a method alone", line("GET"))
refused("9112 3: SP inside the target", line("GET /ca se HTTP/1.1"))
refused("9112 2.3: HTTP/0.9 without version", "GET /case\r\n", 400, 505)
refused("9112 2.3: HTTP/0.9 with fields", "GET /case\r\nHost: a\r\n\r\n", 400, 505)
refused("9110 2.5: HTTP/0.9", line("GET /case HTTP/0.9"), 400, 505)
refused("9110 2.5: HTTP/2.0", line("GET /case HTTP/2.0"), 505)
refused("9110 2.5: HTTP/3.0", line("GET /case HTTP/3.0"), 505)
refused("9110 2.5: HTTP/9.9", line("GET /case HTTP/9.9"), 505)
forwarded("9110 2.5: HTTP/1.2 counts as 1.1", line("GET /case HTTP/1.2"), target="/case")
refused("9112 2.3: http in small letters", line("GET /case http/1.1"))
refused("9112 2.3: HTTP/1.10", line("GET /case HTTP/1.10"))
refused("9112 2.3: HTTP/01.1", line("GET /case HTTP/01.1"))
refused("9112 2.3: HTTP/1", line("GET /case HTTP/1"))
refused("9112 2.3: HTTP/1.", line("GET /case HTTP/1."))
refused("9112 2.3: HTTP/1,1", line("GET /case HTTP/1,1"))
refused("9112 2.3: HTTP 1.1", line("GET /case HTTP 1.1"))
refused("9112 2.3: HTTP/+1.1", line("GET /case HTTP/+1.1"))
refused("9112 2.3: another protocol", line("GET /case FTP/1.1"))
refused("9112 2.3: NUL in the version", line("GET /case HTTP/1.1\0"))
refused("9110 9.1: a method that is no token", line("G(T /case HTTP/1.1"))
refused("9110 9.1: obs-text in the method", line("G\xe9T /case HTTP/1.1"))
refused("9110 9.1: NUL in the method", line("G\0T /case HTTP/1.1"))
refused("9110 9.1: a colon in the method", line("GET: /case HTTP/1.1"))
forwarded("9110 9.1: a method nobody knows", line("BREW /case HTTP/1.1"), method="BREW")
forwarded("9110 9.1: a method of every token byte", line("A!#$%&'*+-.^_`|~9 /case HTTP/1.1"),
          method="A!#$%&'*+-.^_`|~9")
forwarded("9110 9.1: methods have a case", line("get /case HTTP/1.1"), method="get")
refused("9110 9.3.6: CONNECT", line("CONNECT a:80 HTTP/1.1"), 405, 501)
refused("9110 9.3.6: CONNECT with a path", line("CONNECT /case HTTP/1.1"), 400, 405, 501)
refused("9110 4.1: a fragment", line("GET /case#a HTTP/1.1"))
refused("9112 3.2: NUL in the target", line("GET /ca\0se HTTP/1.1"))
refused("9112 3.2: HTAB in the target", line("GET /ca\tse HTTP/1.1"))
refused("9112 3.2: LF in the target", line("GET /ca\nse HTTP/1.1"))
refused("9112 3.2: ESC in the target", line("GET /ca\x1bse HTTP/1.1"))
refused("9112 3.2: DEL in the target", line("GET /ca\x7fse HTTP/1.1"))
refused("9112 3.2: obs-text in the target", line("GET /\xe9 HTTP/1.1"))
forwarded("9112 3.2.1: escapes are left alone", line("GET /%2e%2E/%00?a=%20 HTTP/1.1"),
          target="/%2e%2E/%00?a=%20")
forwarded("9112 3.2.1: dots are left alone", line("GET /a/../case HTTP/1.1"),
          target="/a/../case")
forwarded("9112 3.2.1: two slashes", line("GET //case HTTP/1.1"), target="//case")
forwarded("9112 3.2.1: a query", line("GET /case?a=b?c HTTP/1.1"), target="/case?a=b?c")
refused("9112 3.2.1: no slash", line("GET case HTTP/1.1"))
refused("9112 3.2.1: a query alone", line("GET ?case HTTP/1.1"))
refused("9112 3.2.1: a backslash", line("GET \\case HTTP/1.1"))
forwarded("9112 3.2.2: absolute-form replaces Host", line("GET http://b.c:81/case HTTP/1.1"),
          target="/case", host="b.c:81")
forwarded("9112 3.2.2: absolute-form without path", line("GET http://b HTTP/1.1"), target="/",
          host="b")
forwarded("9112 3.2.2: absolute-form with a query alone", line("GET http://b?c HTTP/1.1"),
          target="/?c", host="b")
forwarded("9110 4.2.3: the scheme has no case", line("GET HTTP://b/case HTTP/1.1"),
          target="/case", host="b")
refused("9110 4.2.1: absolute-form without host", line("GET http:///case HTTP/1.1"))
refused("9110 4.2.4: user information", line("GET http://u@b/case HTTP/1.1"))
refused("9112 3.2.2: an invalid port", line("GET http://b:x/case HTTP/1.1"))
refused("9112 3.2.2: absolute-form still needs Host", line("GET http://b/case HTTP/1.1", ""))
either("9112 3.2.2: another scheme", line("GET ftp://b/case HTTP/1.1"))
refused("9112 3.2.3: authority-form without CONNECT", line("GET a:80 HTTP/1.1"))
forwarded("9112 3.2.4: OPTIONS *", line("OPTIONS * HTTP/1.1"), target="*", method="OPTIONS")
forwarded("9112 3.2.4: OPTIONS of an authority", line("OPTIONS http://b HTTP/1.1"), target="*",
          host="b")
either("9112 3.2.4: GET *", line("GET * HTTP/1.1"))
forwarded("9112 2.2: one empty line before", "\r\n" + line("GET /case HTTP/1.1"), target="/case")
refused("9112 2.2: a bare CR before", "\r" + line("GET /case HTTP/1.1"))
refused("9112 2.2: white space before the first field", "GET /case HTTP/1.1\r\n " + H + "\r\n")
refused("9113 3.4: the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505)
refused("9112 3: a line of 40 KiB", line("GET /" + "a" * 40960 + " HTTP/1.1"), 414)
forwarded("9112 3: a line of 8000 bytes is supported", line("GET /" + "a" * 7980 + " HTTP/1.1"),
          target="/" + "a" * 7980)
refused("8446 5.1: a TLS record", "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\r\n\r\n")

section("Host")
for value in ("example.com", "example.com:8080", "EXAMPLE.com", "a_b-c.d~e", "127.0.0.1:80",
              "[::1]", "[2001:db8::1]:8080", "[::ffff:1.2.3.4]", "a%20b", "a!$&'()*+;=b",
              "example.com:"):
    forwarded(f"9112 3.2: valid Host {value}", f"GET /case HTTP/1.1\r\nHost: {value}\r\n\r\n",
              host=value)
for value in ("a b", "a\tb", "a/b", "a?b", "a#b", "u@a", "http://a", "a\"b", "a\\b", "<a>", "{a}",
              "a|b", "a^b", "a`b", "a:b", "a:80:80", "a:-1", "a:+1", "::1", "[::1", "::1]",
              "[::1]a", "[]", "[1.2.3.4]", "[::1]:x", "a%2", "a%zz", "\xe9.com", "a, b",
              "[v1]", "[1:2:3:4:5:6:7:8:9]"):
    refused(f"9112 3.2: invalid Host {value!r}", f"GET /case HTTP/1.1\r\nHost: {value}\r\n\r\n")
refused("9112 3.2: no Host in 1.1", line("GET /case HTTP/1.1", ""))
refused("9112 3.2: no Host but another field", line("GET /case HTTP/1.1", "A: b\r\n"))
refused("9112 3.2: two Host fields", line("GET /case HTTP/1.1", H + H))
refused("9112 3.2: two differing Host fields", line("GET /case HTTP/1.1", H + "Host: b\r\n"))
refused("9112 3.2: two Host fields with another between", get("A: b\r\nhost: b\r\n"))
refused("9112 3.2: two Host fields in 1.0", line("GET /case HTTP/1.0", H + H))
forwarded("9112 3.2: no Host in 1.0", line("GET /case HTTP/1.0", ""), target="/case")
either("9112 3.3: an empty Host", line("GET /case HTTP/1.1", "Host:\r\n"))
either("3986 3.2.2: a comma in Host", line("GET /case HTTP/1.1", "Host: a,b\r\n"))
either("9110 4.2: port 65536", line("GET /case HTTP/1.1", "Host: a:65536\r\n"))
forwarded("9110 5.1: any case, white space around", line("GET /case HTTP/1.1", "hOST:\t a \r\n"),
          host="a")

section("fields")
forwarded("9112 5: white space around a value", get("A: \t b \t\r\n"), has={"A": "b"})
forwarded("9112 5: no white space", get("A:b\r\n"), has={"A": "b"})
forwarded("9112 5: an empty value", get("A:\r\n"), has={"A": ""})
forwarded("9110 5.5: HTAB inside a value", get("A: b\tc\r\n"), has={"A": "b\tc"})
forwarded("9110 5.5: obs-text", get("A: \xe9\xff\r\n"), has={"A": "\xe9\xff"})
forwarded("9110 5.6.2: a name of every token byte", get("!#$%&'*+-.^_`|~9Az: b\r\n"),
          has={"!#$%&'*+-.^_`|~9Az": "b"})
forwarded("9110 5.3: order of one name's lines", get("A: 1\r\nB: 2\r\na: 3\r\n"),
          lines={"a": ["1", "3"]})
refused("9112 5.1: SP before the colon", get("A : b\r\n"))
refused("9112 5.1: HTAB before the colon", get("A\t: b\r\n"))
refused("9112 5.1: an empty name", get(": b\r\n"))
refused("9112 5.1: no colon", get("A\r\n"))
refused("9112 5.2: folded with SP", get("A: b\r\n c\r\n"))
refused("9112 5.2: folded with HTAB", get("A: b\r\n\tc\r\n"))
refused("9112 5.2: a folded Host", "GET /case HTTP/1.1\r\nHost:\r\n a\r\n\r\n")
for byte in "(),/;<=>?@[\\]{}\"":
    refused(f"9110 5.6.2: {byte} in a name", get(f"A{byte}B: c\r\n"))
refused("9110 5.6.2: SP in a name", get("A B: c\r\n"))
refused("9110 5.6.2: obs-text in a name", get("A\xe9: c\r\n"))
refused("9110 5.6.2: NUL in a name", get("A\0: c\r\n"))
for byte, name in (("\0", "NUL"), ("\x01", "SOH"), ("\b", "BS"), ("\v", "VT"), ("\x1b", "ESC"),
                   ("\x1f", "US"), ("\x7f", "DEL")):
    refused(f"9110 5.5: {name} in a value", get(f"A: b{byte}c\r\n"))
either("9110 5.5: FF in a value", get("A: b\fc\r\n"))
refused("9112 2.2: bare CR in a value", get("A: b\rc\r\n"))
refused("9112 2.2: bare LF hides a field", get("A: b\nB: c\r\n"))
refused("9112 2.2: bare LF ends the request line", f"GET /case HTTP/1.1\n{H}\r\n")
refused("9112 2.2: bare LF ends a field", f"GET /case HTTP/1.1\r\nHost: a\n\r\n")
refused("9112 2.2: bare LF ends the head", f"GET /case HTTP/1.1\r\n{H}\n")
refused("9112 2.2: bare LF everywhere", "GET /case HTTP/1.1\nHost: a\n\n")
refused("9112 2.2: CR CR LF", f"GET /case HTTP/1.1\r\r\n{H}\r\n")
refused("9112 2.2: a bare CR ends the head", f"GET /case HTTP/1.1\r\n{H}\rX")
refused("6585 5: a head of 40 KiB", get("A: " + "b" * 40960 + "\r\n"), 431)
refused("6585 5: 200 fields", get("A: b\r\n" * 200), 431)
forwarded("9110 5.4: 100 fields", get("A: b\r\n" * 100), target="/case")
forwarded("9110 5.4: a value of 8000 bytes", get("A: " + "b" * 8000 + "\r\n"),
          has={"A": "b" * 8000})
forwarded("6265 5.4: two Cookie lines are not joined with a comma",
          get("Cookie: a=b\r\nCookie: c=d\r\n"), lines={"Cookie": ["a=b", "c=d"]})

section("Content-Length")
forwarded("9110 8.6: a body", post("Content-Length: 5\r\n", "hello"), body=b"hello")
forwarded("9110 8.6: no body", post("Content-Length: 0\r\n"), body=b"")
forwarded("9110 8.6: leading zeros", post("Content-Length: 005\r\n", "hello"), body=b"hello")
forwarded("9110 8.6: a body of a GET", get("Content-Length: 5\r\n", "hello"), body=b"hello")
forwarded("9110 8.6: in 1.0", "POST /case HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
          body=b"hello")
forwarded("9110 8.6: a body in two pieces", [post("Content-Length: 5\r\n", "he"), "llo"],
          body=b"hello")
for value in ("+5", "-5", "-0", "0x5", "5a", "5.0", "5e0", "5 5", "5_0", "\"5\"", "", "abc",
              "18446744073709551616", "18446744073709551621", "1" + "0" * 40, "5;a", "5\0",
              "\v5", "5,6", "5, 6", "5,a", "5,,5", "\xd9\xa5", "５".encode().decode("latin-1")):
    refused(f"9110 8.6: Content-Length {value!r}", post(f"Content-Length: {value}\r\n", "hello"))
either("9110 8.6: 2^63", post("Content-Length: 9223372036854775808\r\n", "hello"), 400, 413)
either("9110 8.6: 2^64-1", post("Content-Length: 18446744073709551615\r\n", "hello"), 400, 413)
refused("limits.body: 2 GiB", post("Content-Length: 2147483649\r\n", "hello"), 413)
either("9110 8.6: an identical list", post("Content-Length: 5, 5\r\n", "hello"))
either("9110 8.6: identical lines", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"))
either("9110 8.6: numerically identical", post("Content-Length: 5, 05\r\n", "hello"))
either("9110 5.6.1: an empty member behind", post("Content-Length: 5,\r\n", "hello"))
either("9112 5: HTAB around", post("Content-Length:\t5\t\r\n", "hello"))
refused("9112 6.3: differing lines", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"))
refused("9112 6.3: differing, the smaller last",
        post("Content-Length: 6\r\nContent-Length: 0\r\n", "hello!"))
refused("9112 6.3: a bad second line", post("Content-Length: 5\r\nContent-Length: x\r\n", "hello"))
refused("9112 6.3: an empty second line", post("Content-Length: 5\r\nContent-Length:\r\n", "hello"))
refused("9112 5.1: SP before the colon", post("Content-Length : 5\r\n", "hello"))
refused("9112 5.2: folded", post("Content-Length:\r\n 5\r\n", "hello"))
refused("9112 5.2: continued", post("Content-Length: 5\r\n 0\r\n", "hello"))

section("Transfer-Encoding")
CHUNKS = "5\r\nhello\r\n0\r\n\r\n"
TAIL = "0\r\n\r\n" + SMUGGLED
forwarded("9112 6.1: chunked", post("Transfer-Encoding: chunked\r\n", CHUNKS), body=b"hello")
forwarded("9112 7: any case", post("transfer-ENCODING: ChunKed\r\n", CHUNKS), body=b"hello")
forwarded("9112 5: white space around", post("Transfer-Encoding:\t chunked \r\n", CHUNKS),
          body=b"hello")
forwarded("9112 6.1: with GET", get("Transfer-Encoding: chunked\r\n", CHUNKS), body=b"hello")
refused("9112 6.3: with a length", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", TAIL))
refused("9112 6.3: before a length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", TAIL))
refused("9112 6.3: with length 0", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", TAIL))
refused("9112 6.3: a length and another coding",
        post("Content-Length: 5\r\nTransfer-Encoding: x\r\n", "hello"), 400, 501)
refused("9112 6.1: in 1.0", "POST /case HTTP/1.0\r\n" + H + "Transfer-Encoding: chunked\r\n\r\n" + TAIL)
refused("9112 6.1: in 1.0 with keep-alive",
        "POST /case HTTP/1.0\r\n" + H + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + TAIL)
for value in ("xchunked", "chunkedx", "chunke", "gzip", "identity", "gzip, chunked",
              "identity, chunked", "chunked, gzip", "chunked, identity", "chunked, chunked",
              "chunked chunked", "chunked,", ",chunked", "", "\"chunked\"", "'chunked'",
              "chunked;a=b", "chun ked", "\vchunked", "chunked\v", "chunked\f", "chunked\0",
              "chunked\x01", "\xa0chunked", "chunked\xa0", "chunk\xe9d", "x", "deflate"):
    refused(f"9112 6.1: Transfer-Encoding {value!r}",
            post(f"Transfer-Encoding: {value}\r\n", TAIL), 400, 501)
for first, second in (("chunked", "chunked"), ("chunked", "identity"), ("identity", "chunked"),
                      ("gzip", "chunked"), ("chunked", "gzip"), ("", "chunked"), ("x", "chunked"),
                      ("chunked", "")):
    refused(f"9112 6.1: lines {first!r} and {second!r}",
            post(f"Transfer-Encoding: {first}\r\nTransfer-Encoding: {second}\r\n", TAIL), 400, 501)
refused("9112 5.1: SP before the colon", post("Transfer-Encoding : chunked\r\n", TAIL))
refused("9112 5.1: HTAB before the colon", post("Transfer-Encoding\t: chunked\r\n", TAIL))
refused("9112 5.2: folded", post("Transfer-Encoding:\r\n chunked\r\n", TAIL))
refused("9112 5.2: continued", post("Transfer-Encoding: chunked\r\n , identity\r\n", TAIL))
refused("9110 5.6.2: NUL in the name", post("Transfer\0-Encoding: chunked\r\n", TAIL))
refused("9112 2.2: bare LF before it", post("A: b\nTransfer-Encoding: chunked\r\n", TAIL))
refused("9112 2.2: bare CR before it", post("A: b\rTransfer-Encoding: chunked\r\n", TAIL))
forwarded("9110 5.1: an underscore is another name",
          post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "hello"), body=b"hello")
forwarded("9110 7.6.1: Connection does not remove it",
          post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", CHUNKS),
          body=b"hello")

section("chunked")


def chunked(body):
    return post("Transfer-Encoding: chunked\r\n", body)


def chunked_refused(clause, body):
    """The head may have been forwarded: then the request upstream must stay incomplete."""
    add(REQUESTS, clause, chunked(body), "broken", statuses=(400,))


forwarded("9112 7.1: several chunks", chunked("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), body=b"abc")
forwarded("9112 7.1: no chunk", chunked("0\r\n\r\n"), body=b"")
forwarded("9112 7.1: digits in both cases", chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
          body=b"01234567890123456789")
forwarded("9112 7.1: leading zeros", chunked("0003\r\nabc\r\n000\r\n\r\n"), body=b"abc")
forwarded("9112 7.1: data like framing", chunked("7\r\n0\r\n\r\nGE\r\n0\r\n\r\n"), body=b"0\r\n\r\nGE")
forwarded("9112 7.1: byte by byte",
          [post("Transfer-Encoding: chunked\r\n")] + list("3\r\nabc\r\n0\r\n\r\n"), body=b"abc")
forwarded("9112 7.1.1: an extension", chunked("3;a=b\r\nabc\r\n0;c\r\n\r\n"), body=b"abc")
forwarded("9112 7.1.1: a quoted extension", chunked("3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n"), body=b"abc")
forwarded("9112 7.1.1: white space in an extension", chunked("3 ; a = b\r\nabc\r\n0\r\n\r\n"),
          body=b"abc")
forwarded("9110 6.5.1: a trailer is not merged", chunked("0\r\nX-Trailer: b\r\n\r\n"),
          lacks=["X-Trailer"])
forwarded("9110 6.5.1: framing in the trailer", chunked("3\r\nabc\r\n0\r\nContent-Length: 50\r\n\r\n"),
          body=b"abc", lacks=["Content-Length"])
forwarded("9110 6.5.1: routing in the trailer", chunked("0\r\nHost: evil\r\nCookie: a\r\n\r\n"),
          host="a", lacks=["Cookie"])
for size in ("0x3", "+3", "-3", " 3", "\t3", "3 ", "3\t", "3g", "3h", "3,3", "3.0", "0_3", "", "\"3\"",
             "3\0", "3\v", "\xd9\xa3", "3\r", "10000000000000003", "ffffffffffffffff",
             "8000000000000000", "fffffffffffffffff3", "3;", "3;=b", "3;a=\"", "3;a\x01", "3;a\0",
             "3 a", "3;a\rb"):
    chunked_refused(f"9112 7.1: size line {size!r}", f"{size}\r\nabc\r\n0\r\n\r\n{SMUGGLED}")
chunked_refused("9112 2.2: bare LF behind a size", "3\nabc\r\n0\r\n\r\n")
chunked_refused("9112 2.2: bare CR behind a size", "3\rabc\r\n0\r\n\r\n")
chunked_refused("9112 7.1.1: bare LF in an extension", "3;a\nabc\r\n0\r\n\r\n")
chunked_refused("9112 7.1.1: bare LF, then a size", "3;a\n5\r\nabc\r\n0\r\n\r\n")
chunked_refused("9112 7.1: bare LF behind data", "3\r\nabc\n0\r\n\r\n")
chunked_refused("9112 7.1: nothing behind data", "3\r\nabc0\r\n\r\n")
chunked_refused("9112 7.1: two bytes for CRLF", "3\r\nabcXX0\r\n\r\n")
chunked_refused("9112 7.1: too much data", "3\r\nabcd\r\n0\r\n\r\n")
chunked_refused("9112 7.1: too little data", "4\r\nabc\r\n0\r\n\r\n" + SMUGGLED)
chunked_refused("9112 7.1: bare LF ends the body", "0\r\n\n")
chunked_refused("9112 7.1: bare LF behind the last size", "0\n\r\n")
chunked_refused("9112 7.1: CR and another byte at the end", "0\r\n\rX")
chunked_refused("9112 7.1: an empty line between", "3\r\nabc\r\n\r\n0\r\n\r\n")
chunked_refused("9112 7.1.2: a trailer without colon", "0\r\nA\r\n\r\n")
chunked_refused("9112 7.1.2: a request for a trailer", "0\r\n" + SMUGGLED)
chunked_refused("9112 5.1: SP before a trailer's colon", "0\r\nA : b\r\n\r\n")
chunked_refused("9112 5.2: a folded trailer", "0\r\nA: b\r\n c\r\n\r\n")
chunked_refused("9110 5.5: NUL in a trailer", "0\r\nA: \0\r\n\r\n")
chunked_refused("9112 2.2: bare LF in a trailer", "0\r\nA: b\n\r\n")
add(REQUESTS, "9112 7.1.1: an extension of 16 KiB",
    chunked("3;" + "a" * 16384 + "\r\nabc\r\n0\r\n\r\n"), "broken", statuses=(400, 413, 431))
add(REQUESTS, "9112 7.1.2: a trailer of 32 KiB", chunked("0\r\n" + "A: b\r\n" * 5500 + "\r\n"),
    "broken", statuses=(400, 413, 431))
for size in ("40000001", "ffffffff", "7fffffffffffffff"):
    add(REQUESTS, f"limits.body: a chunk that says {size}", chunked(f"{size}\r\nabc"), "broken",
        statuses=(413,))
add(REQUESTS, "9112 7.1.1: many extensions, hardly any data",
    chunked(("1;" + "e" * 900 + "\r\nx\r\n") * 1000 + "0\r\n\r\n"), "broken", statuses=(400,))

section("hop by hop")
forwarded("9110 7.6.1: Connection is not forwarded", get("Connection: close\r\n"),
          lacks=["Connection"])
forwarded("9110 7.6.1: what it names", get("Connection: X-A, x-b\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n"),
          lacks=["X-A", "X-B"], has={"X-C": "3"})
forwarded("9110 7.6.1: named before and behind", get("X-A: 1\r\nConnection: x-a\r\nX-A: 2\r\n"),
          lacks=["X-A"])
forwarded("9110 7.6.1: two Connection lines",
          get("Connection: X-A\r\nConnection: X-B\r\nX-A: 1\r\nX-B: 2\r\n"), lacks=["X-A", "X-B"])
forwarded("9110 7.6.1: empty members", get("Connection: ,, X-A ,\r\nX-A: 1\r\n"), lacks=["X-A"])
forwarded("9110 7.6.1: Host stays", get("Connection: Host\r\n"), host="a")
forwarded("9110 7.6.1: Content-Length stays",
          post("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"), body=b"hello")
forwarded("9110 7.6.1: Cookie stays", get("Connection: Cookie\r\nCookie: a=b\r\n"),
          has={"Cookie": "a=b"})
forwarded("9110 7.6.1: Authorization stays",
          get("Connection: authorization\r\nAuthorization: Basic x\r\n"),
          has={"Authorization": "Basic x"})
forwarded("9110 7.6.1: X-Forwarded-For stays ours", get("Connection: X-Forwarded-For, X-Real-IP\r\n"),
          has={"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"})
forwarded("9110 7.6.1: Keep-Alive", get("Keep-Alive: timeout=5\r\nConnection: keep-alive\r\n"),
          lacks=["Keep-Alive"])
forwarded("9110 7.6.1: Proxy-Connection", get("Proxy-Connection: keep-alive\r\n"),
          lacks=["Proxy-Connection"])
forwarded("9110 10.1.4: TE but trailers", get("TE: gzip\r\nConnection: TE\r\n"), lacks=["TE"])
forwarded("9110 7.8: Upgrade that nobody named", get("Upgrade: websocket\r\n"), lacks=["Upgrade"])
forwarded("9110 7.6.3: Via is added", get(""), via="1.1")
forwarded("9110 7.6.3: Via of a 1.0 client", line("GET /case HTTP/1.0"), via="1.0")
forwarded("9110 7.6.3: Via is added to", get("Via: 1.0 x\r\n"), first_via="1.0 x")
forwarded("7239 5: claims of a stranger", get("X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n"
                                             "X-Real-IP: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"),
          has={"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1",
               "X-Forwarded-Proto": "http"}, lacks=["Forwarded"])
forwarded("9110 7.6.2: Max-Forwards counts down for OPTIONS",
          line("OPTIONS /case HTTP/1.1", H + "Max-Forwards: 5\r\n"), has={"Max-Forwards": "4"})
forwarded("9110 7.6.2: Max-Forwards counts down for TRACE",
          line("TRACE /case HTTP/1.1", H + "Max-Forwards: 1\r\n"), has={"Max-Forwards": "0"})
add(REQUESTS, "9110 7.6.2: Max-Forwards 0 is answered here",
    line("OPTIONS /case HTTP/1.1", H + "Max-Forwards: 0\r\n"), "answered", statuses=(200, 204))
add(REQUESTS, "9110 7.6.2: Max-Forwards 0, TRACE",
    line("TRACE /case HTTP/1.1", H + "Max-Forwards: 0\r\n"), "answered", statuses=(200, 405, 501))

section("Expect")
forwarded("9110 10.1.1: the body comes with the head",
          post("Content-Length: 5\r\nExpect: 100-continue\r\n", "hello"), body=b"hello")
forwarded("9110 10.1.1: the body waits",
          [post("Content-Length: 5\r\nExpect: 100-continue\r\n"), "hello"], body=b"hello",
          interim=(100,))
forwarded("9110 10.1.1: any case",
          [post("Content-Length: 5\r\nExpect: 100-Continue\r\n"), "hello"], body=b"hello",
          interim=(100,))
forwarded("9110 10.1.1: chunked",
          [post("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"), CHUNKS], body=b"hello")
forwarded("9110 10.1.1: no body to wait for", get("Expect: 100-continue\r\n"), target="/case")
forwarded("9110 10.1.1: 1.0 has none",
          "POST /case HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
          body=b"hello", lacks=["Expect"])
refused("9110 10.1.1: another expectation", post("Content-Length: 5\r\nExpect: x\r\n", "hello"), 417)
refused("9110 10.1.1: another beside it",
        post("Content-Length: 5\r\nExpect: 100-continue, x\r\n", "hello"), 417)
refused("9112 6.3: with both framings",
        post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"))

section("Upgrade")
forwarded("9110 7.8: h2c is not forwarded",
          get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
          lacks=["Upgrade", "HTTP2-Settings", "Connection"])
forwarded("9110 7.8: an unknown protocol", get("Connection: Upgrade\r\nUpgrade: x/1\r\n"),
          lacks=["Upgrade", "Connection"])
forwarded("9110 7.8: ignored in 1.0",
          line("GET /case HTTP/1.0", H + "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
          lacks=["Upgrade"])
forwarded("6455 4.1: websocket that is not taken up",
          get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), has={"Upgrade": "websocket"})
forwarded("9110 7.8: h2c beside websocket",
          get("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), lacks_value={"Upgrade": "h2c"})

section("pipelining")
TWO = "GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n"
forwarded("9112 9.3.2: two requests", TWO, count=2, target="/two")
forwarded("9112 9.3.2: ten requests",
          "".join(f"GET /n{i} HTTP/1.1\r\nHost: a\r\n\r\n" for i in range(10)), count=10,
          target="/n9")
forwarded("9112 9.3.2: a body between",
          "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + line("GET /two HTTP/1.1"),
          count=2, target="/two", body=b"")
forwarded("9112 9.3.2: a chunked body between",
          "POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
          + line("GET /two HTTP/1.1"), count=2, target="/two", body=b"")
forwarded("9112 9.6: nothing behind close is read",
          "GET /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + SMUGGLED, target="/one")
forwarded("9112 9.3: nothing behind 1.0 is read",
          "GET /one HTTP/1.0\r\nHost: a\r\n\r\n" + SMUGGLED, target="/one")
forwarded("9112 9.3: 1.0 with keep-alive",
          "GET /one HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
          + line("GET /two HTTP/1.0"), count=2, target="/two")
refused("9112 9.6: nothing behind a refusal is read", line("GET /a b HTTP/1.1") + SMUGGLED)
refused("9112 9.6: nothing behind two Host fields is read",
        line("GET /case HTTP/1.1", H + H) + SMUGGLED)
forwarded("9112 2.2: an empty line between", line("GET /one HTTP/1.1") + "\r\n"
          + line("GET /two HTTP/1.1"), count=2, target="/two")
add(REQUESTS, "9112 9.3.2: the second is refused, the first answered",
    line("GET /one HTTP/1.1") + line("GET /t wo HTTP/1.1") + SMUGGLED, "first", statuses=(400,))
forwarded("9112 9.3.2: HEAD has no body",
          "HEAD /one HTTP/1.1\r\nHost: a\r\n\r\n" + line("GET /two HTTP/1.1"), count=2, target="/two",
          methods=["HEAD", "GET"])


# ---- responses ----

def answer(clause, data, verdict, **wants):
    """`data`: what the upstream sends, in pieces; wants: close, poison, method, version,
    status, body, has, lacks, interim."""
    add(RESPONSES, clause, data, verdict, wants=wants)


def ok(fields, body=""):
    return f"HTTP/1.1 200 OK\r\n{fields}\r\n{body}"


HELLO = ok("Content-Length: 5\r\n", "hello")

section("status line")
answer("9112 4: the plain form", HELLO, "passed", body=b"hello")
answer("9112 4: an empty reason", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", "passed",
       body=b"hello")
answer("9112 4: no SP and no reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", "either",
       body=b"hello")
answer("9112 4: obs-text in the reason", "HTTP/1.1 200 \xe9\r\nContent-Length: 5\r\n\r\nhello",
       "passed", body=b"hello")
for status in (201, 206, 299, 301, 404, 418, 500, 503, 599):
    answer(f"9110 15: {status}", f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\nhello",
           "passed", status=status, body=b"hello")
for text in ("099", "000", "600", "999", "1000", "20", "2000", "2 00", "2xx", "+20", "-20", "20.0",
             "0xC", "abc", ""):
    answer(f"9110 15: status {text!r}", f"HTTP/1.1 {text} OK\r\nContent-Length: 5\r\n\r\nhello",
           "bad")
for begin in ("HTTP/0.9 200 OK", "HTTP/1.10 200 OK", "http/1.1 200 OK", "HTTP/1 200 OK",
              "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", "ICY 200 OK", "200 OK", " HTTP/1.1 200 OK",
              "xHTTP/1.1 200 OK", "HTTP/1.1200 OK", "HTTP/1.1 200\tOK", "HTTP/1.1 200 a\0b",
              "HTTP/1.1 200 a\x1bb", "HTTP/1.1 200 a\rb"):
    answer(f"9112 4: {begin!r}", f"{begin}\r\nContent-Length: 5\r\n\r\nhello", "bad")
answer("9110 2.5: HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "either",
       body=b"hello")
answer("9112 4: a document", "<html>hello</html>", "bad", close=True)
answer("9112 4: binary", "\x16\x03\x01\0\x05\x01\0\0", "bad", close=True)
answer("9112 4: nothing", "", "bad", close=True)
answer("9112 4: half a status line", "HTTP/1.1 20", "bad", close=True)
answer("9112 8: half a head", "HTTP/1.1 200 OK\r\nContent-Le", "bad", close=True)
answer("9112 4: an empty line before", "\r\n" + HELLO, "bad")
answer("9112 2.3: 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "passed", body=b"hello")

section("response fields")
answer("9112 5: white space around", ok("A: \t b \t\r\nContent-Length: 5\r\n", "hello"), "passed",
       has={"A": "b"})
answer("9110 5.5: obs-text", ok("A: \xe9\r\nContent-Length: 5\r\n", "hello"), "passed",
       has={"A": "\xe9"})
answer("6265 4.1: Set-Cookie lines stay apart",
       ok("Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n"), "passed",
       lines={"Set-Cookie": ["a=b", "c=d"]})
for bad in ("A : b", ": b", "A", "A: b\r\n c", "A: b\r\n\tc", "A B: c", "A(: b", "A: b\0", "A: b\rc",
            "A: b\nB: c", "A: b\x01", "A: b\x7f", "A\xe9: b", "A: b\v"):
    answer(f"9112 5: {bad!r}", ok(f"{bad}\r\nContent-Length: 5\r\n", "hello"), "bad")
answer("9112 2.2: bare LF everywhere", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "bad")
answer("9112 2.2: bare LF ends the head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello", "bad")
answer("limits.head: a head of 300 KiB", ok("A: " + "b" * 300000 + "\r\n"), "bad", close=True)
answer("9110 7.6.1: hop-by-hop fields",
       ok("Connection: X-A, keep-alive\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n"
          "Content-Length: 5\r\n", "hello"), "passed",
       lacks=["X-A", "Keep-Alive", "Proxy-Connection"], body=b"hello")
answer("9110 7.6.1: Content-Length stays",
       ok("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"), "passed", body=b"hello")
answer("9110 7.6.3: Via", HELLO, "passed", via=True)
answer("9110 6.6.1: Date is added", HELLO, "passed", date=True)
answer("9110 6.6.1: Date is kept", ok("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n"),
       "passed", has={"Date": "Sun, 06 Nov 1994 08:49:37 GMT"})

section("response length")
answer("9112 6.3: no body", ok("Content-Length: 0\r\n"), "passed", body=b"")
answer("9112 6.3: until close", ok("", "hello"), "passed", close=True, body=b"hello")
answer("9112 6.3: until close, in pieces", [ok("", "he"), "llo"], "passed", close=True,
       body=b"hello")
answer("9112 6.3: until close, 1.0", "HTTP/1.0 200 OK\r\n\r\nhello", "passed", close=True,
       body=b"hello")
answer("9112 6.3: identical lines", ok("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
       "either", body=b"hello")
answer("9112 6.3: an identical list", ok("Content-Length: 5, 5\r\n", "hello"), "either",
       body=b"hello")
answer("9112 6.3: differing lines", ok("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), "bad")
for value in ("-5", "+5", "0x5", "abc", "", "5 5", "5, 6", "5a", "5.0", "18446744073709551616",
              "5;5", "5\0"):
    answer(f"9112 6.3: Content-Length {value!r}", ok(f"Content-Length: {value}\r\n", "hello"), "bad")
answer("9112 8: cut short", ok("Content-Length: 10\r\n", "hello"), "cut", close=True)
answer("9112 6.3: more than the length", ok("Content-Length: 5\r\n", "hello" + HELLO), "passed",
       body=b"hello", poison=True)
answer("9112 9.2: an answer nobody asked for",
       [HELLO, HELLO.replace("hello", "evil!")], "passed", body=b"hello", poison=True)
answer("9110 9.3.2: HEAD with a length", ok("Content-Length: 5\r\n"), "passed", method="HEAD",
       has={"Content-Length": "5"})
answer("9110 9.3.2: HEAD with chunked", ok("Transfer-Encoding: chunked\r\n"), "passed",
       method="HEAD")
answer("9110 9.3.2: HEAD with a body all the same", ok("Content-Length: 5\r\n", "hello"), "passed",
       method="HEAD", poison=True)
answer("9110 15.3.5: 204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
       "passed", status=204)
answer("9110 15.3.5: 204 with a body",
       "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "passed", status=204, poison=True)
answer("9110 15.3.5: 204 with chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n"
       "\r\n" + CHUNKS, "passed", status=204, poison=True)
answer("9110 15.4.5: 304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
       "passed", status=304)
answer("9110 15.4.5: 304 with a body", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
       "passed", status=304, poison=True)

section("response codings")
answer("9112 7.1: chunked", ok("Transfer-Encoding: chunked\r\n", CHUNKS), "passed", body=b"hello")
answer("9112 7.1: any case", ok("Transfer-Encoding: CHUNKED\r\n", CHUNKS), "passed", body=b"hello")
answer("9112 7.1: to a 1.0 client", ok("Transfer-Encoding: chunked\r\n", CHUNKS), "passed",
       version="1.0", body=b"hello")
answer("9112 7.1: byte by byte",
       [ok("Transfer-Encoding: chunked\r\n")] + list("3\r\nabc\r\n0\r\n\r\n"), "passed", body=b"abc")
answer("9112 7.1.1: an extension", ok("Transfer-Encoding: chunked\r\n", "3;a=b\r\nabc\r\n0\r\n\r\n"),
       "passed", body=b"abc")
answer("9112 7.1.2: a trailer", ok("Transfer-Encoding: chunked\r\n",
                                   "3\r\nabc\r\n0\r\nContent-Length: 9\r\nSet-Cookie: a\r\n\r\n"),
       "passed", body=b"abc", lacks=["Set-Cookie"])
for value in ("gzip, chunked", "chunked, gzip", "gzip", "identity", "chunked, chunked", "xchunked",
              "", "chunked,", "\"chunked\"", "chunked;a"):
    answer(f"9112 6.3: Transfer-Encoding {value!r}",
           ok(f"Transfer-Encoding: {value}\r\n", CHUNKS), "bad", close=True)
answer("9112 6.3: two lines", ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                                 CHUNKS), "bad", close=True)
answer("9112 6.3: with a length", ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNKS),
       "bad", close=True)
answer("9112 6.1: in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, "bad",
       close=True)
for size in ("0x5", "-5", " 5", "5 ", "xyz", "", "ffffffffffffffffff", "8000000000000000", "5;a\0"):
    answer(f"9112 7.1: size line {size!r}",
           ok("Transfer-Encoding: chunked\r\n", f"{size}\r\nhello\r\n0\r\n\r\n"), "cut", close=True)
for text in ("5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n",
             "5\r\nhello\r\n0\r\n\n", "5\r\nhello\r\n0\r\nA : b\r\n\r\n", "5\r\nhello\r\n", "5\r\nhel",
             "5\r\nhello\r\n0\r\n", "5\r\nhello\r\n0"):
    answer(f"9112 7.1: body {text!r}", ok("Transfer-Encoding: chunked\r\n", text), "cut", close=True)
answer("9112 7.1: more behind the end", ok("Transfer-Encoding: chunked\r\n", CHUNKS + HELLO), "passed",
       body=b"hello", poison=True)

section("interim responses")
answer("9110 15.2: 103 before the answer",
       "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + HELLO, "passed", body=b"hello",
       interim=(103,))
answer("9110 15.2: three of them",
       "HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + HELLO, "passed", body=b"hello")
answer("9110 15.2: none to a 1.0 client", "HTTP/1.1 103 Early Hints\r\n\r\n" + HELLO, "passed",
       version="1.0", body=b"hello", interim=())
answer("9110 15.2.1: 100 that nobody waits for", "HTTP/1.1 100 Continue\r\n\r\n" + HELLO, "passed",
       body=b"hello")
answer("9110 15.2: a 103 with a length has no body",
       "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + HELLO, "passed", body=b"hello")
answer("9110 15.2.2: 101 that nobody asked for",
       "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
       "bad", close=True)
answer("9110 15.2: a hundred of them", "HTTP/1.1 103 Early Hints\r\n\r\n" * 100 + HELLO, "passed",
       body=b"hello")
answer("limits.h: 103 without an end", ["HTTP/1.1 103 Early Hints\r\n\r\n" * 500] * 10, "bad",
       close=True)
answer("9110 15.2: 103 and then nothing", "HTTP/1.1 103 Early Hints\r\n\r\n", "bad", close=True)

section("larger bodies")
BIG = bytes(range(256)) * 2048
forwarded("9110 8.6: 512 KiB by length",
          [latin(post(f"Content-Length: {len(BIG)}\r\n")) + BIG], body=BIG)
forwarded("9112 7.1: 512 KiB in one chunk",
          [latin(post("Transfer-Encoding: chunked\r\n")) + b"%x\r\n" % len(BIG) + BIG
           + b"\r\n0\r\n\r\n"], body=BIG)
forwarded("9112 7.1: 4096 chunks of one byte",
          [latin(post("Transfer-Encoding: chunked\r\n")) + b"1\r\nx\r\n" * 4096 + b"0\r\n\r\n"],
          body=b"x" * 4096)
answer("9110 8.6: 512 KiB by length",
       [latin(ok(f"Content-Length: {len(BIG)}\r\n")) + BIG], "passed", body=BIG)
answer("9112 6.3: 512 KiB until close", [latin(ok("")) + BIG], "passed", close=True, body=BIG)
answer("9112 6.3: 512 KiB until close, 1.0 client", [latin(ok("")) + BIG], "passed", close=True,
       version="1.0", body=BIG)
answer("9112 7.1: 512 KiB in one chunk",
       [latin(ok("Transfer-Encoding: chunked\r\n")) + b"%x\r\n" % len(BIG) + BIG
        + b"\r\n0\r\n\r\n"], "passed", body=BIG)
answer("9112 7.1: 4096 chunks of one byte",
       [latin(ok("Transfer-Encoding: chunked\r\n")) + b"1\r\nx\r\n" * 4096 + b"0\r\n\r\n"],
       "passed", body=b"x" * 4096)
answer("9112 7.1: 512 KiB in chunks to a 1.0 client",
       [latin(ok("Transfer-Encoding: chunked\r\n"))
        + b"".join(b"2000\r\n" + BIG[i:i + 8192] + b"\r\n" for i in range(0, len(BIG), 8192))
        + b"0\r\n\r\n"], "passed", version="1.0", body=BIG)
answer("9112 8: a large body cut short", [latin(ok(f"Content-Length: {len(BIG) + 1}\r\n")) + BIG],
       "cut", close=True)
answer("9112 8: a large chunk cut short",
       [latin(ok("Transfer-Encoding: chunked\r\n")) + b"%x\r\n" % (len(BIG) + 1) + BIG],
       "cut", close=True)
answer("9112 2.2: a head byte by byte", list(HELLO[:40]) + [HELLO[40:]], "passed", body=b"hello")
answer("9112 7.1: a size line cut in two",
       [ok("Transfer-Encoding: chunked\r\n", "1"), "0\r", "\n0123456789abcdef\r", "\n0\r\n\r", "\n"],
       "passed", body=b"0123456789abcdef")

for table in (REQUESTS, RESPONSES):
    seen = {}
    for case in table:
        name = f"{case.section}: {case.clause}"[:90].encode("ascii", "backslashreplace").decode()
        seen[name] = seen.get(name, 0) + 1
        case.name = name if seen[name] == 1 else f"{name} ({seen[name]})"


def send_all_requests(connect):
    """Each request case to a server of crossfade's own, on a new connection each: what must be refused is."""
    for each in REQUESTS:
        with connect() as connection:
            try:
                for step in each.steps:
                    connection.send(step)
                connection.socket.shutdown(socket.SHUT_WR)
                if each.verdict == "refused":
                    status = connection.read("GET").status
                    assert 400 <= status < 600, (each.clause, status)
            except (Closed, OSError):
                pass  # closed without a word: as good as refused
