"""What is learned from: captioned pictures, as examples and batches."""
