"""Programs for those who work on Captionary; none of them is installed."""
