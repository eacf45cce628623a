"""Hold a bill of materials against the schema of CycloneDX: exit with 1 if it does not fit.

It runs where `requirements-audit.lock` is installed.
"""

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

if __name__ == "__main__":
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(sys.argv[1]).read_text())
    sys.exit(f"{sys.argv[1]}: {error}" if error else 0)
