"""A small part of a grid of options in which every few of them meet in every way.

The whole product of nine options has hundreds of cases and most tell the same: a fault lies in one
option, or in how two or three of them meet. `covering(2, ...)` covers every pair of values,
`covering(3, ...)` every triple; the whole product belongs to the long tests.
"""

import itertools
import random


def covering(strength, *options, seed=0):
    """Return cases, as `itertools.product` gives them, that hold every way so many values meet.

    Greedily: each case is the best of some that hold what is missing, drawn by a seed.
    """
    rng = random.Random(seed)
    places = list(itertools.combinations(range(len(options)), strength))
    missing = {
        (at, met)
        for at in places
        for met in itertools.product(*(range(len(options[place])) for place in at))
    }

    def found_in(case):
        return {(at, tuple(case[place] for place in at)) for at in places} & missing

    cases = []
    while missing:
        at, met = min(missing)
        drawn = [[rng.randrange(len(values)) for values in options] for _ in range(40)]
        for case in drawn:
            for place, value in zip(at, met, strict=True):
                case[place] = value
        best = max(drawn, key=lambda case: len(found_in(case)))
        missing -= found_in(best)
        cases.append(best)
    return [tuple(values[i] for values, i in zip(options, case, strict=True)) for case in cases]
