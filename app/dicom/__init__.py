"""What is true of DICOM on paper: values in, values out. No I/O of its own, no settings."""
