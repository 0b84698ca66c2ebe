"""X409: micro-batches whose losses are means over unlike numbers of tokens, added as if alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from xent.audit._run.sites import Site

MOST_ROOTS = 256  # backward passes of one step that are kept
ALIKE_COUNTS = 0.01  # counts that differ by less weigh almost alike


@dataclass
class Window:
    """What was computed since the last step: losses, and the roots of their backward passes."""

    losses: list[tuple[Site, int, float | None]] = field(default_factory=list)
    roots: list[tuple[Site, int, float] | None] = field(default_factory=list)
    counts: set[int] = field(default_factory=set)  # of targets, in all micro-batches

    def loss(self, site: Site, weight: int, value: float | None) -> None:
        """Take a loss that has a graph."""
        if len(self.losses) < 4:
            self.losses.append((site, weight, value))

    def backward(self, value: float) -> None:
        """Take the root of a backward pass: how much of the one loss before it is in it."""
        one = self.losses[0] if len(self.losses) == 1 else None
        self.losses.clear()
        if len(self.roots) >= MOST_ROOTS:
            return
        if one is not None and one[2]:
            self.roots.append((one[0], one[1], value / one[2]))
        else:
            self.roots.append(None)

    def step(self, closure: bool) -> None:
        """Judge what a step was made of; one with a closure computed its losses itself."""
        roots, self.roots = self.roots, []
        self.losses.clear()
        known = [root for root in roots if root is not None]
        if closure or len(roots) < 2 or len(known) < len(roots):
            return
        site = known[0][0]
        if any(root[0] is not site for root in known) or "sum" in site.reductions:
            return
        weights = [weight for _, weight, _ in known]
        shares = [share for _, _, share in known]
        self.counts.update(weights)
        of = site.last.round if site.last is not None else None
        last = of is not None and of.ragged and len(self.counts) == 2  # a smaller last batch
        unlike = max(weights) > min(weights) * (1 + ALIKE_COUNTS) and not last
        fact = site.fact("X409")
        if fact.saw(unlike and max(shares) - min(shares) <= 1e-3 * abs(max(shares))):
            fact.seen = fact.seen or (
                f"{len(known)} micro-batches of one step had "
                f"{min(weights):,} to {max(weights):,} targets"
            )
