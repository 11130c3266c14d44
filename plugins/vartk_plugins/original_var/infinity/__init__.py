"""The importer of the original Infinity's files (github.com/FoundationVision/Infinity)."""
