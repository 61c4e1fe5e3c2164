"""Where deliveries come from: files in the landing folder, or an operator's own database; how each is known."""
