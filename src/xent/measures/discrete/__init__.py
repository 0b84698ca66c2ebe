"""Measures of distributions over outcomes that can be listed, and of joint distributions."""
