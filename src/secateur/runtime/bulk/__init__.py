"""Bulk transcription: manifests, archives and folders to one manifest or a file a clip, on one machine or many."""
