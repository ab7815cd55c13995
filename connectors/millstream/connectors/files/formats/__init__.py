"""Line formats: each turns a chunk of whole lines into values. Parquet has a reader of its own."""
