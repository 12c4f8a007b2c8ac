"""What `dunning doctor` looks at. Each module looks at one thing and says what it found, and what to do about it."""
