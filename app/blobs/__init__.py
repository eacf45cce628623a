"""Bytes at rest. The only package that moves them, and it knows no DICOM."""
