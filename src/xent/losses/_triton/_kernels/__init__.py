"""What is written in Triton's language; nothing else in the house imports Triton."""
