"""The text formats that other toolkits read."""
