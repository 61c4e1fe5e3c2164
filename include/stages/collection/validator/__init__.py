"""Text rows held against the contract of their feed: types, bounds, and whom the lake must not hold."""
