"""Which handbook articles answer a question: SQLite's full-text index, words weighed by how rare they are.

A question that shares one stray word with an article is not answered by it, so an article counts only when
it holds enough of the question's telling words. The weights are ours, because FTS5's BM25 gives a word that
half of the articles hold no weight at all: in a handbook of a dozen articles that is every word that
matters.
"""

from __future__ import annotations

import math
import re
import sqlite3

from shop.models import Article, Passage

#: What a word in the title is worth against one in the text.
TITLE_WEIGHT = 2.0

#: The part of the question's weight that an article must hold, and of how many words at most: in a long
#: letter no article speaks of everything.
COVERAGE, COVERAGE_WORDS = 0.2, 6

#: A word that the handbook does not know asks for something else; it weighs like one that this share of
#: articles hold.
UNKNOWN_SHARE = 1 / 8

_WORD = re.compile(r"[^\W_]+")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_EMPTY = frozenset(
    _listed(
        "a about accept after again all also am an and any anything are as ask at be because been before"
        " but by can could did do does doing done for from get give go good got had has have having hello"
        " help her here hey hi him his how i if in into is it its just know let like long made make may me"
        " might mine much must my need no not now of off ok on one only or our out please policies policy"
        " possible question really regarding rule rules say see she should so some something sorry store sure take"
        " tell than thank thanks that the their them then there these they thing this those to too two up us"
        " use very want was we well were what whats when where whether which while who why will wish with"
        " work works would yes you your yours d ll m re s t ve"
    )
)
#: Words that customers use for one another, in the stemmer's eyes different.
_SAME = (
    "change modify edit update correct switch",
    "exchange swap replace",
    "refund reimburse moneyback",
    "damaged broken faulty defective",
    "ship delivery shipping deliver",
    "parcel package",
    "identity authenticate verify identified",
    "colour color",
    "voucher coupon discount promo",
    "human person agent representative",
    "howlong arrive days hours weeks",
)
#: Questions that ask for a duration without naming one.
_DURATION = re.compile(r"\bhow (?:long|soon|fast|quickly|many days)\b|\bwhen (?:do|does|will|is|are|can)\b")
_KIN = {word: _listed(group) for group in _SAME for word in group.split()}


def telling_words(query: str) -> list[str]:
    """The words of the query that say what it is about, each once."""
    plain = _DURATION.sub(" howlong ", query.lower().replace("money back", "moneyback"))
    return [word for word in dict.fromkeys(_WORD.findall(plain)) if word not in _EMPTY]


def search(db: sqlite3.Connection, query: str, limit: int) -> list[Passage]:
    """The articles that fit the query, best first; empty when none does."""
    words = telling_words(query)[:64]
    total = db.execute("SELECT count(*) FROM articles").fetchone()[0]
    held = {word: _rows_with(db, word) for word in words}
    in_title = {word: _rows_with(db, word, "title : ") for word in words}
    weight = {word: math.log(1 + total / (len(rows) or total * UNKNOWN_SHARE)) for word, rows in held.items()}
    needed = COVERAGE * sum(sorted(weight.values(), reverse=True)[:COVERAGE_WORDS])
    scored = []
    for row in set().union(*held.values()):
        covered = sum(weight[word] for word in words if row in held[word])
        titled = sum(weight[word] for word in words if row in in_title[word])
        if covered >= needed:
            scored.append((covered + (TITLE_WEIGHT - 1) * titled, -row))
    best = sorted(scored, reverse=True)[:limit]
    return [_passage(db, -row, score) for score, row in best]


def article(db: sqlite3.Connection, name: str) -> Article | None:
    """The article of this name, or None."""
    row = db.execute("SELECT * FROM articles WHERE article = ?", (name,)).fetchone()
    return Article(article=row["article"], title=row["title"], text=row["body"]) if row else None


def _passage(db: sqlite3.Connection, row: int, score: float) -> Passage:
    found = db.execute("SELECT * FROM articles WHERE rowid = ?", (row,)).fetchone()
    return Passage(article=found["article"], title=found["title"], text=found["body"], score=round(score, 3))


def _rows_with(db: sqlite3.Connection, word: str, column: str = "") -> set[int]:
    """The articles that hold the word or its kin. It is letters and digits, so quoting it is enough."""
    kin = " OR ".join(f'"{each}"' for each in _KIN.get(word, (word,)))
    rows = db.execute("SELECT rowid FROM articles WHERE articles MATCH ?", (f"{column}({kin})",))
    return {row["rowid"] for row in rows}
