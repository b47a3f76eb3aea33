"""The API: Hugging Face's paths as its clients ask them, and our own for what those have no word for."""
