"""The timeline of a policy as a picture: what `dunning policy preview --format svg` prints."""
