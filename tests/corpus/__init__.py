"""The round trip of a folder of real DICOM files through a running archive: `make test-corpus`."""
