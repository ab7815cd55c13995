"""Files as source and sink: text, NDJSON, CSV, Parquet; directories and globs; gzip and zstd."""
