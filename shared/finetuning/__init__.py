"""Fine-tuning of a pre-trained transformer: it takes a module and data, and knows no app."""
