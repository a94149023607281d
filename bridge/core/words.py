"""Words of a closed vocabulary: the known one that is nearest to what somebody wrote."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# The two letters of ISO 639-1, and Papiamento, which has none and is spoken in the Caribbean part of the country.
LANGUAGES = frozenset(  # as one text: 184 pairs of quotes are no clearer
    """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee
    el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is
    it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms
    mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pap pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si
    sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh
    yi yo za zh zu
    """.split()  # noqa: SIM905
)

_LONGEST = 60  # characters; nobody means a known word by more


def nearest(word: object, known: Iterable[str]) -> str:
    """Name the known word that was probably meant; empty when none is near."""
    if not isinstance(word, str) or len(word) > _LONGEST:
        return ""
    spelled = {one.lower(): one for one in known}
    return next((spelled[one] for one in get_close_matches(word.lower(), spelled, n=1)), "")
