"""Two classifiers judged in bits: where the bits go, what calibration recovers, who is better."""

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xent.evaluation import compare, evaluate

X, y = load_breast_cancer(return_X_y=True)
train, test = slice(0, None, 2), slice(1, None, 2)
models = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "bayes": GaussianNB(),
}
said = {name: m.fit(X[train], y[train]).predict_proba(X[test]) for name, m in models.items()}

names = ["malignant", "benign"]  # of the columns
truth = [names[number] for number in y[test]]
for name, probs in said.items():
    report = evaluate(truth, probs, labels=names)
    temperature = report.recovered["temperature"]["mean"]
    print(
        f"{name}: {report.cross_entropy:.3f} bits, of which a temperature saves {temperature:.3f}"
    )

print(report)  # the last one, in full; report.to_html("report.html") writes it with pictures
print(compare(said["bayes"], said["logistic"], target=y[test], names=["bayes", "logistic"]))
