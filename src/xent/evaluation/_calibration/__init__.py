"""Whether probabilities can be believed: what each estimator sees, and what mending them brings.

Plain functions of scores, truth and weights; each file names the paper whose estimator it is.
"""
