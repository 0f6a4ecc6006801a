"""What a query can be refused for: its syntax, its meaning, or something we do not support; each with its place in the text."""

from collections.abc import Iterable

from shared.kernel.errors import OmsError


class KqlError(OmsError):
    """A query that cannot be answered. `pos` is an offset into the text, `line` and `column` count from one."""

    code = "BadArgumentError"

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        pos: int = 0,
        end: int | None = None,
        suggestion: str | None = None,
    ) -> None:
        pos = min(max(pos, 0), len(text))
        self.text = text
        self.pos = pos
        self.end = max(pos, min(len(text), pos + 1 if end is None else end))
        self.line = text.count("\n", 0, pos) + 1
        self.column = pos - (text.rfind("\n", 0, pos) + 1) + 1
        self.token = text[pos : self.end]
        self.suggestion = suggestion
        self.bare = message
        shown = message if suggestion is None else f"{message} Did you mean '{suggestion}'?"
        super().__init__(
            shown,
            target=self.token or None,
            details={"line": self.line, "pos": self.column - 1, "token": self.token},
        )

    def within(self, text: str, pos: int, end: int) -> "KqlError":
        """The same complaint, placed in another text (an error inside a stored function points at its call)."""
        return type(self)(self.bare, text=text, pos=pos, end=end, suggestion=self.suggestion)


class KqlSyntaxError(KqlError):
    code = "SyntaxError"


class KqlSemanticError(KqlError):
    code = "SemanticError"


class KqlUnsupported(KqlError):
    """Something of the language that we know and do not run; the message names it."""

    code = "SemanticError"


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant, if one is near."""
    pool = list(candidates)
    folded = {candidate.lower(): candidate for candidate in pool}
    if name.lower() in folded:
        return folded[name.lower()]
    from difflib import get_close_matches  # only errors want it

    found = get_close_matches(name.lower(), folded, n=1, cutoff=0.72)
    return folded[found[0]] if found else None
