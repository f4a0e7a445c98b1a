"""vicino: documents and vectors in, answers by meaning out."""
