"""The store: fetched series as Parquet, each in a folder with a manifest that knows the hash of every byte."""
