"""The embedded ledger: records as sorted Parquet segments, and answers from them."""
