"""HTTP, on a node. Starlette (BSD) on uvicorn: the small, well-kept ASGI pair."""
