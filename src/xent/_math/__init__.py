"""The arithmetic that everything stands on, each function once; the only place that knows LLVM."""
