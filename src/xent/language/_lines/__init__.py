"""Text, line by line: how it is written, decoded and streamed."""
