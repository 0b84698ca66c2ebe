"""A tree from a table with names, numbers and gaps: as text, as rules, and what it cannot know."""

from xent.trees import C45Classifier

table = {
    "sky": ["sun", "rain", None, "rain", "sun", "cloud"] * 6,
    "wind": [2.0, 9.5, 3.0, 1.0, 12.0, None] * 6,
}
walk = ["out", "in", "out", "out", "in", "out"] * 6

tree = C45Classifier().fit(table, walk)
print(tree.to_text())
print(tree.to_rules())

new = {"sky": ["rain", None], "wind": [None, 4.0]}
for probability in tree.predict_proba(new):
    print(
        {str(name): round(float(p), 3) for name, p in zip(tree.classes_, probability, strict=True)}
    )
