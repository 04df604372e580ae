"""The routes. The hot ones are plain ASGI over msgspec; the others are FastAPI's."""
