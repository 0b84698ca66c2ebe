"""Losses of class logits and of answers as kernels in Triton, for CUDA and ROCm."""
