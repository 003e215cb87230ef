"""What a gateway lets in by helpers and expectations, found by reading its rules and settings."""
