"""Sparkplug B (Eclipse Sparkplug 3.0.0): payloads, sessions of edge nodes, and a bridge into the recorder."""
