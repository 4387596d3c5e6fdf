"""What computes a served version: ONNX graphs of its encoder, without torch in the process."""
