"""From a manifest to batches of tensors."""
