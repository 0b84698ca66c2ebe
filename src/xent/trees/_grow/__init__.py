"""Growing a tree: columns put in order, level by level, then whole subtrees of small nodes."""
