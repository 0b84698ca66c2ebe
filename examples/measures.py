"""How far the sales of two days lie apart, which column tells most, and what has moved."""

from collections import Counter

from xent.measures import drift, entropy, estimate_entropy, js_divergence, rank_features

monday = Counter({"bread": 40, "milk": 30, "eggs": 30})
friday = Counter({"bread": 20, "milk": 30, "wine": 50})
print(f"Monday: {entropy(monday, base=2):.3f} bits a sale, Friday: {entropy(friday, base=2):.3f}")
print(f"They lie {js_divergence(monday, friday, base=2):.3f} bits apart (0 alike, 1 disjoint).")

found = estimate_entropy(["bread", "bread", "milk", "eggs", "bread", "milk"], base=2)
print(f"From six sales: {found.value:.2f} bits, give or take {found.standard_error:.2f}.")

year = {
    "age": [23, 31, 45, 52, 38, 61, 29, 47] * 5,
    "city": ["Ulm", "Bonn", None, "Ulm", "Bonn", "Bonn", "Ulm", "Ulm"] * 5,
    "bought": ["no", "yes", "yes", "yes", "yes", "yes", "no", "yes"] * 5,
}
for column in rank_features(year, target="bought", base=2):
    print(f"{column.name:8} tells {column.score:.3f} bits about what was bought")

later = {**year, "age": [age + 20 for age in year["age"]]}
for moved in drift(year, later):
    print(f"{moved.name:8} has moved by {moved.js:.3f} nats")
