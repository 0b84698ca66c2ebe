"""Everything below a small node in one call: search, divide, list the children, until all is done.

For tables of numbers without weights and missing values, which is what most tables are. What level
by level would be a dozen calls and a sweep through memory for every depth stays in the cache, and
two threads that grow two small nodes need not wait for each other. Entries of sorted lists are
packed into words (`search.split_counts`); a node's entries lie side by side in every list::

    list of x0    |---- node 3 ----|-- node 4 --|--- closed ---|--- node 6 ---|
    list of x1    |---- node 3 ----|-- node 4 --|--- closed ---|--- node 6 ---|
    rows          |---- node 3 ----|-- node 4 --|--- closed ---|--- node 6 ---|

and a split divides its node's part of each, stably, where it lies.
"""

from typing import NamedTuple

import numpy as np

from xent._compile.decorator import inner, kernel, step
from xent.trees._kernels.criteria import (
    FRACTIONAL,
    NEVER,
    choose_column,
    large_enough,
    largest,
)
from xent.trees._kernels.predict import put, roomy
from xent.trees._kernels.records import SORTED
from xent.trees._kernels.search.coded import search_code_counts
from xent.trees._kernels.search.packed_binary import LANE_COUNT, search_words
from xent.trees._kernels.search.split_counts import (
    BYTE_BITS,
    CLASS,
    COUNT_MASK,
    PLACE,
    PackedCounts,
    differ,
    search_counts,
)

MAX_SMALL = 4096  # what 12 bits can number; 20 such lists fit a core's cache
START, STOP, NODE, DEPTH = 0, 1, 2, 3  # what is written of a node that waits
ROW, CLASS_OF, NUMBER_OF = 0, 1, 2  # and of an entry


class SmallTask(NamedTuple):
    """The columns of a table, and the small nodes of one level in it."""

    ranks: np.ndarray
    indices: np.ndarray
    place: np.ndarray
    sorted_of: np.ndarray  # feature of each sorted list, and its column of `numbers`
    sorted_slot: np.ndarray
    coded_of: np.ndarray  # coded columns that are not packed
    binary_of: np.ndarray  # by byte of the words
    words: np.ndarray
    kind: np.ndarray  # of every column, as in `Columns`
    slot: np.ndarray
    levels: np.ndarray
    small: np.ndarray
    numbers: np.ndarray
    row: np.ndarray  # the entries of the level
    y: np.ndarray
    start: np.ndarray  # the small nodes
    stop: np.ndarray
    stats: np.ndarray


class Grown(NamedTuple):
    """Nodes of one or more trees; children follow their parent, the tops are kept apart."""

    feature: np.ndarray
    split_row: np.ndarray
    split_next: np.ndarray
    first: np.ndarray
    missing_to: np.ndarray
    stats: np.ndarray


class SmallScratch(NamedTuple):
    """Memory for small nodes: their entries, and what the search of a node fills."""

    words: np.ndarray  # the packed entries, a row a sorted list; in the last the right half waits
    side: np.ndarray  # of every entry, by number
    own: np.ndarray  # the entries in the order of the rows: ROW, CLASS_OF and NUMBER_OF each
    own_waiting: np.ndarray
    queue: np.ndarray  # nodes that wait: START, STOP, NODE and DEPTH each
    gain: np.ndarray  # by column
    info: np.ndarray
    split: np.ndarray
    byte_gain: np.ndarray  # by packed column
    byte_info: np.ndarray
    left: np.ndarray  # by class
    right: np.ndarray
    classes: np.ndarray
    hist: np.ndarray
    present: np.ndarray
    seen: np.ndarray
    sums: np.ndarray
    counts: np.ndarray


@kernel()
def empty(nodes, size):
    """Room for so many nodes."""
    return Grown(
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty((nodes, size)),
    )


@kernel(inside=True)
def larger(out, used, nodes):
    """Room for so many nodes that begins with the nodes in use."""
    if nodes <= out.feature.size:
        return out
    nodes = max(nodes, 2 * out.feature.size)
    stats = np.empty((nodes, out.stats.shape[1]))
    for i in range(used):
        put(stats[i], out.stats[i], stats.shape[1])
    return Grown(
        roomy(out.feature, nodes),
        roomy(out.split_row, nodes),
        roomy(out.split_next, nodes),
        roomy(out.first, nodes),
        roomy(out.missing_to, nodes),
        stats,
    )


@kernel(inside=True)
def scratch_for(task, a, b):
    """Memory for the nodes a..b."""
    rows, widest = 0, 1
    for k in range(a, b):
        rows = max(rows, task.stop[k] - task.start[k])
    for f in task.coded_of:
        widest = max(widest, task.levels[f] + 1)
    # Numbers with few values are searched through the entries in the order of the rows.
    own = rows if task.coded_of.size or task.binary_of.size else 0
    size, columns, packed = task.stats.shape[1], task.kind.size, task.binary_of.size
    seen = np.empty(widest, np.uint8)
    for c in range(widest):
        seen[c] = 0
    return SmallScratch(
        np.empty((task.sorted_of.size + 1, rows), np.uint32),
        np.empty(rows, np.uint8),
        np.empty((3, own), np.int32),
        np.empty((3, own), np.int32),
        np.empty((rows, 4), np.int64),
        np.empty(columns),
        np.empty(columns),
        np.empty(columns, np.int64),
        np.empty(packed),
        np.empty(packed),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty((widest, size), np.int64),
        np.empty(widest, np.int64),
        seen,
        np.empty((size, task.words.shape[1]), np.uint64),
        np.empty((size, LANE_COUNT * task.words.shape[1]), np.int32),
    )


@inner()
def number_of(word):
    return (word >> BYTE_BITS) & COUNT_MASK


@step()
def pack(rank, index, y, base, n, words):
    """Write a node's part of a sorted list as words."""
    place = np.int64(0)
    for i in range(n):
        e = np.int64(index[base + i])
        if i and rank[base + i] != rank[base + i - 1]:
            place += 1
        words[i] = np.uint32((place << 20) | ((e - base) << 8) | np.int64(y[e]))


@inner()
def search(task, scratch, start, stop, row, whole, rules):
    """Search all columns for a node."""
    gain, info, split, left = scratch.gain, scratch.info, scratch.split, scratch.left
    hopeless = NEVER
    for q in range(task.sorted_of.size):
        f = task.sorted_of[q]
        entries = PackedCounts(scratch.words[q], row, task.numbers[:, task.sorted_slot[q]])
        gain[f] = NEVER
        if differ(entries, start, stop - 1):
            split[f], gain[f], info[f], reached = search_counts(
                entries, start, stop, whole, rules, hopeless, left, scratch.right
            )
            if not rules.ratio:
                hopeless = max(hopeless, reached - 1e-3)
    own_row, own_y = scratch.own[ROW], scratch.own[CLASS_OF]
    hist, seen, present = scratch.hist, scratch.seen, scratch.present
    for q in range(task.coded_of.size):
        f = task.coded_of[q]
        code, levels = task.small[task.slot[f]], task.levels[f]
        split[f], gain[f], info[f] = search_code_counts(
            code, levels, own_row, own_y, start, stop, whole, rules, hist, seen, present, left
        )
    if task.binary_of.size:
        a, b, used = np.int64(0), task.words.shape[1], task.binary_of.size
        classes, sums, counts = scratch.classes, scratch.sums, scratch.counts
        into = (scratch.byte_gain, scratch.byte_info)
        search_words(
            task.words,
            used,
            own_row,
            own_y,
            start,
            stop,
            a,
            b,
            whole,
            rules,
            classes,
            sums,
            counts,
            *into,
        )
        for j in range(used):
            f = task.binary_of[j]
            split[f], gain[f], info[f] = 0, scratch.byte_gain[j], scratch.byte_info[j]


@inner()
def choose_sides(task, scratch, f, start, stop, row):
    """Say which side every entry goes to, and count the left one by class.

    Returns the rows, or codes, on either side of the split.
    """
    left, side, own, at = scratch.left, scratch.side, scratch.own, scratch.split[f]
    for c in range(left.size):
        left[c] = 0
    if task.kind[f] == SORTED:
        words = scratch.words[task.slot[f]]
        for i in range(start, stop):
            side[number_of(words[i])] = i > at
            left[words[i] & CLASS] += i <= at
        return np.int64(row[number_of(words[at])]), np.int64(row[number_of(words[at + 1])])
    code, above = task.small[task.slot[f]], task.levels[f]
    for i in range(start, stop):
        c = code[own[ROW, i]]
        side[own[NUMBER_OF, i]] = c > at
        if c <= at:
            left[own[CLASS_OF, i]] += 1
        elif c < above:
            above = c
    return np.int64(at), np.int64(above)


@step()
def part(words, side, waiting, start, stop):
    """Divide a sorted list where it lies, stably: what goes right waits."""
    x, y = np.int64(start), np.int64(0)
    for i in range(start, stop):
        w = words[i]
        s = np.int64(side[number_of(w)])
        words[x] = w
        waiting[y] = w
        x += 1 - s
        y += s
    for i in range(y):
        words[x + i] = waiting[i]


@step()
def part_own(own, waiting, side, start, stop):
    """Divide the entries in the order of the rows, as `part`."""
    x, y = np.int64(start), np.int64(0)
    for i in range(start, stop):
        s = np.int64(side[own[NUMBER_OF, i]])
        for j in range(3):
            waiting[j, y] = own[j, i]
            own[j, x] = own[j, i]
        x += 1 - s
        y += s
    for j in range(3):
        for i in range(y):
            own[j, x + i] = waiting[j, i]


@step()
def enter(task, scratch, k):
    """Write a small node's entries."""
    base, own = task.start[k], scratch.own
    n = task.stop[k] - base
    for i in range(min(n, own.shape[1])):
        own[ROW, i], own[CLASS_OF, i], own[NUMBER_OF, i] = task.row[base + i], task.y[base + i], i
    for q in range(task.sorted_of.size):
        place = task.place[q]
        pack(task.ranks[place], task.indices[place], task.y, base, n, scratch.words[q])


@step()
def wait(queue, tail, start, stop, node, depth):
    queue[tail, START], queue[tail, STOP] = start, stop
    queue[tail, NODE], queue[tail, DEPTH] = node, depth


@step()
def may_divide(counts, n, depth, rules):
    """Whether a node of n rows may be divided: it is not too deep, large enough and not pure."""
    return depth < rules.max_depth and n >= 2 and large_enough(n, rules) and largest(counts) < n


@step()
def write(nodes, at, f, first, to, low, high):
    nodes.feature[at], nodes.first[at], nodes.missing_to[at] = f, first, to
    nodes.split_row[at], nodes.split_next[at] = low, high


@kernel()
def grow_below(task, rules, depth, tops, a, b):
    """Grow all that is below the small nodes a..b of a level, and return the nodes below them.

    `tops` gets what the nodes themselves become. A `first` counts from the first node returned.
    """
    size, n_lists = task.stats.shape[1], task.sorted_of.size
    scratch = scratch_for(task, a, b)
    left, right = scratch.left, scratch.right
    coded, queue, top, root = scratch.own.shape[1] > 0, scratch.queue, np.int64(-1), np.int64(0)
    used = np.int64(0)
    out = empty(max(16, (task.stop[b - 1] - task.start[a]) // 4), size)
    for k in range(a, b):
        base, n = task.start[k], task.stop[k] - task.start[k]
        row = task.row[base : base + n]
        out = larger(out, used, used + 2 * n)
        enter(task, scratch, k)
        tops.feature[k] = -1
        wait(queue, root, root, n, top, depth)
        head, tail = np.int64(0), np.int64(1)
        while head < tail:
            start, stop, node = queue[head, START], queue[head, STOP], queue[head, NODE]
            deep, n = queue[head, DEPTH] + 1, stop - start
            head += 1
            whole = task.stats[k] if node < 0 else out.stats[node]
            search(task, scratch, start, stop, row, whole, rules)
            f = choose_column(scratch.gain, scratch.info, n, rules)
            if f < 0:
                continue
            low, high = choose_sides(task, scratch, f, start, stop, row)
            middle = start
            for c in range(size):
                right[c] = int(whole[c] + 0.5) - left[c]
                out.stats[used, c], out.stats[used + 1, c] = left[c], right[c]
                middle += left[c]
            m = middle - start
            to = -1 if rules.missing == FRACTIONAL else (0 if m >= n - m else 1)
            if node < 0:
                write(tops, k, f, used, to, low, high)
            else:
                write(out, node, f, used, to, low, high)
            out.feature[used], out.feature[used + 1] = -1, -1
            before = tail
            if may_divide(left, m, deep, rules):
                wait(queue, tail, start, middle, used, deep)
                tail += 1
            if may_divide(right, n - m, deep, rules):
                wait(queue, tail, middle, stop, used + 1, deep)
                tail += 1
            used += 2
            if tail == before:
                continue
            for q in range(n_lists):
                words = scratch.words[q]
                # A column with one value here has one value everywhere below.
                if (words[start] ^ words[stop - 1]) >= PLACE:
                    part(words, scratch.side, scratch.words[n_lists], start, stop)
            if coded:
                part_own(scratch.own, scratch.own_waiting, scratch.side, start, stop)
    return out, used
