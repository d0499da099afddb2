"""Takes secrets out of texts that go into telemetry, in time that grows as they do, and no more.

It runs on the event loop, on whatever an upstream answered: so no alternative below is tried from
many places over the same characters, and of long texts only the beginning and the end are kept.
"""

import re
from collections.abc import Iterator

HEAD = 8_192
TAIL = 8_192
"""Characters kept of a text longer than both; the end of a stack trace says what failed."""
AHEAD = 4_096
"""Characters that are looked at beyond the ones that are kept, on either side: a secret that begins
before the cut is known by what follows, such as the ``@`` behind a password, and the lines of a key
by the one above them."""
QUOTED = 80
"""Characters of a value that an error names."""

_SECRETS = re.compile(
    r"""\b(?:sk|pk|rk|gh[opsu]|github_pat|glpat|xox[a-z])[-_][A-Za-z0-9_-]{8,}
      | \b(?:hf|npm)_[A-Za-z0-9]{16,}
      | \b(?:gsk_|xai-|pplx-|csk-|tvly-(?:dev-)?)[A-Za-z0-9]{16}[A-Za-z0-9_-]*
      | \bnvapi-[A-Za-z0-9_-]{20,}
      | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b
      | \bAIza[A-Za-z0-9_-]{35}
      | \beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}
      | (?<=bearer\ )[^\s"',]+
      | (?<=basic\ )[A-Za-z0-9+/=]{8,}
      | (?<=://)[^/\s:@]*+:[^/\s"]*(?=@)
      | (?:(?<=http://)|(?<=https://))[\w.~%+=$!*-]++(?=@)
      | (?P<pem>BEGIN\ [A-Z\ ]{0,20}PRIVATE\ KEY(?:\ BLOCK)?-----)
        (?=(?:\\[rn]|\s){1,8}(?:[A-Za-z0-9+/=]{16}|Proc-Type|DEK-Info|Version|Comment))(?:[^-]|-(?!----))+
      | (?P<header>authorization\\?["']?\s?[:=]\s?\\?["']?)[^"',;\\\r\n]+
      | (?P<name>
          (?: (?:password|passwd|pwd|passphrase|secret)\\?["']?\s?[:=]\s?
            | (?:key|token)\\?["']?(?:=|:\s?)
            | (?:key|token|secret|password)\\?["']\s{0,4}:\s{0,4}(?=\\?["'])
            | \bsig(?:nature)?=(?=[\w%+/-]{16})
            | \(b?["'](?:[\w-]{1,40}[-_](?:key|token|secret)|[\w-]{0,40}authorization)["'],\s?
              b?(?=["'])
          )(?P<quote>\\?["'])?
        )(?(quote)(?:(?!(?P=quote))\\?.)+|[^\s&"',]+)
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""A name stays, and what it stands before goes: with blanks around ``=`` only where code that a
stack trace quotes seldom has them. What begins as a JSON Web Token is one: to look for its points
from each place where one may begin takes the square of a text full of such beginnings."""


def mask_secrets(text: str) -> str:
    """``text`` without what looks like keys, tokens and passwords, and fit to be encoded; of a long
    one the beginning and the last lines."""
    if len(text) <= HEAD + TAIL:
        return "".join(_masked(_encodable(text), 0, len(text)))
    last_lines = text.find("\n", len(text) - TAIL) + 1 or len(text)
    left_out = f"… [{last_lines - HEAD} characters left out]\n"
    behind = _encodable(text[last_lines - AHEAD :])
    return "".join((masked_beginning(text, HEAD), left_out, *_masked(behind, AHEAD, len(behind))))


def masked_beginning(text: str, characters: int) -> str:
    """The beginning of ``text``, of so many characters before the secrets were taken out."""
    return "".join(_masked(_encodable(text[: characters + AHEAD]), 0, characters))


def quoted(value: object) -> str:
    """What a value looks like at its beginning, for an error that names it: secrets go before the
    rest is cut off, as half of one is no longer known."""
    return masked_beginning(repr(value), QUOTED)


def _masked(window: str, begin: int, end: int) -> Iterator[str]:
    """What lies between the two, with a mask for each secret that is not wholly outside."""
    for secret in _SECRETS.finditer(window):
        if secret.end() <= begin:
            continue
        if secret.start() >= end:
            break
        yield window[begin : secret.start()]
        yield f"{secret['header'] or secret['name'] or secret['pem'] or ''}[masked]"
        begin = secret.end()
    yield window[begin:end]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
