"""Hilum: an open DICOMweb archive."""
