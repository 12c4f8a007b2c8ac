"""What monitoring rests on: the metrics that exist, the queries that name them, and a picture of the dashboard."""
