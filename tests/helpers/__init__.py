"""What several tests build: tiny models, server processes, stand-ins. Nothing here is a test."""
