"""The outreach list of a cycle on its way out of the house, and what it did."""
