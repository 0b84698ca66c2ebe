"""What articles derive on paper, in numbers: four names of one loss, slopes, fair comparisons."""
