"""The JSON API, /api/v1: a module for each subject.

Each has `router(live)`, whose handlers answer, and `RULES`, who may ask (`access`). A new subject is a
module like these and a line in `live_app.PARTS`. Handlers are plain functions and so run in threads;
what may take long runs in `heavy`, so that nobody's query keeps others from reading states.
"""
