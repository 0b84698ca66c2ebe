"""Doors for other libraries: scikit-learn, Hugging Face's Trainer, torchmetrics, notebooks."""
