"""Pages of a ranking: what is computed, kept, sorted."""

from __future__ import annotations

from askaudio.search.hits import Hit, Hits
from askaudio.search.pages import FIRST_DEPTH, ResultPages, sort_hits

HITS = [
    Hit(n + 1, f"c{n}", f"/s/take {n}.wav", 0.5, 100.0 - n / 10, 0, 1, metadata={"duration_s": float(n % 7)})
    for n in range(900)
]


def test_deeper_pages_rank_again_and_the_others_are_kept():
    depths, pages = [], ResultPages()

    def rank(depth: int) -> Hits:
        depths.append(depth)
        return Hits(HITS[:depth])

    assert [hit.clip_id for hit in pages.page("q", rank, 0, 3).hits] == ["c0", "c1", "c2"]
    assert pages.page("q", rank, 150, 50).total is None
    assert depths == [FIRST_DEPTH]
    assert pages.page("q", rank, 250, 50).hits[0].clip_id == "c250"
    assert depths == [200, 400]
    last = pages.page("q", rank, 850, 100)
    assert len(last.hits) == 50 and last.total == 900
    assert pages.page("q", rank, 10_000, 100).hits == [] and depths == [200, 400, 1600]


def test_a_sorted_page_has_what_matches():
    pages = ResultPages()
    page = pages.sorted_page("q", lambda depth: Hits(HITS[:depth]), "duration", True, 0, 5)
    assert page.total == 801  # a match of 20 and more
    assert [hit.clip_id for hit in page.hits] == ["c6", "c13", "c20", "c27", "c34"]


def test_hits_without_the_fact_come_last():
    hits = [Hit(1, "a", "/a", 0, 0, 0, 0), *HITS[1:3]]
    assert [hit.clip_id for hit in sort_hits(hits, "duration", True)] == ["c2", "c1", "a"]
    assert [hit.clip_id for hit in sort_hits(HITS[:11], "name", True)][:2] == ["c10", "c9"]
